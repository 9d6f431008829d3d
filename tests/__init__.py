"""Tests: unit (pure functions), property (laws), service (real servers and processes)."""
