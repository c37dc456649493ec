"""Drawings of results. Every function takes a result and returns a matplotlib `Figure`; nothing is computed here."""
