"""Dashboards as code, and what provisions them.

Owns: boards, panels and their queries.
May import: collector, costing, exporter, ledger.
Never touches: the api, a tenant's credentials.
"""
