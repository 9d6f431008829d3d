"""Dashboards as code, and what provisions them.

Owns: boards, panels and their queries; what a Grafana has of each tenant.
May import: collector, costing, exporter, ledger.
Never touches: the api, the keys that sign who looks.
"""
