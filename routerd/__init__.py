"""Clearway: the household's way through."""

__version__ = "0.1.0"
