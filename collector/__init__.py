"""Takes usage in, each event exactly once, and ships what became of it to InfluxDB.

Owns: intake, the metadata policy, file imports, what is written to and read from InfluxDB.
May import: ledger.
Never touches: prices, what rollups say, HTTP requests that come in.
"""
