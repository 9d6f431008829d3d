"""What a tenant has in Grafana: an organisation, a viewer, a data source, a folder, boards.

Owns: the calls of Grafana's HTTP API, and what is written down of them in the ledger.
May import: grafana.dashboards, ledger.
Never touches: the signing keys of browsers, what people see.
"""
