"""Takes usage in: normalises, validates and books events, each exactly once.

Owns: intake, the metadata policy, file imports.
May import: ledger.
Never touches: prices, rollups, HTTP requests.
"""
