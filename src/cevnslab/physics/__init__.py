"""Formulas as pure functions of arrays, and the small frozen values that they need."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
