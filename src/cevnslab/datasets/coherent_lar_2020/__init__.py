"""COHERENT liquid argon 2020 (arXiv:2003.10630, arXiv:2006.12659)."""
