"""`python -m cevnslab` is the command `cevnslab`."""

from cevnslab.cli import main

main()
