"""The gateway between Grafana and InfluxDB: whose secret it is decides whose points are seen.

Owns: `/grafana/influx/query`, what it takes, how much of it at a time, and its audit lines.
May import: the rest of api's edge (auth, errors, services), collector, ledger.
Never touches: the ledger's tables, the text of a query in a log.
"""
