"""Reads usage from files: NDJSON events, and CSV of any shape by a mapping of its columns.

Owns: records of files and their line numbers, stable ids for rows without one.
May import: ledger, collector.
Never touches: the ledger's tables.
"""
