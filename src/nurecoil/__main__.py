"""`python -m nurecoil` is the command `nurecoil`."""

from nurecoil.cli import main

main()
