"""One board a module; `grafana` builds them.

Owns: the boards.
May import: grafana.
Never touches: Grafana's HTTP API.
"""
