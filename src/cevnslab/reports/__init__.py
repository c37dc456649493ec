"""Results written down: the files of a study, tables for the terminal, comparison with published numbers."""
