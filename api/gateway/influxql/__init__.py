"""A strict subset of InfluxQL: text becomes a tree, the tree is confined, and becomes a text again.

Owns: what is taken, what it is limited to, and how it is written for InfluxDB.
May import: collector, ledger.
Never touches: HTTP, InfluxDB, the clock.
"""
