"""The version of both distributions, in its one place; their builds read it here."""

__version__ = "0.1.0"
