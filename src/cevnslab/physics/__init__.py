"""Formulas as pure functions of arrays, and the small frozen values that they need."""
