"""The command `cevnslab`: a thin shell over studies, figures and reports."""

from cevnslab.cli.entry import main

__all__ = ["main"]
