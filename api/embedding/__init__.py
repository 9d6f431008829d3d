"""Panels of Grafana in our pages: who looks at them, and where they are.

Owns: signing keys, the tokens made with them, addresses of panels.
May import: the rest of api's edge (auth, services), ledger.
Never touches: Grafana's HTTP API, a tenant's figures.
"""
