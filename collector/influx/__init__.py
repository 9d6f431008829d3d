"""Speaks to InfluxDB 1.8, 2.x and 3.x: writes lines, reads InfluxQL, makes buckets.

Owns: what differs between the versions of InfluxDB.
May import: ledger.
Never touches: the ledger's tables.
"""
