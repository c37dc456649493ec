"""`python -m cevnslab` is the command `cevnslab`."""

from cevnslab.cli import main

if __name__ == "__main__":
    main()
