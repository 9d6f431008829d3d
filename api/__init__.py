"""Speaks HTTP: events in, problems out, the OpenAPI description.

Owns: routes, credentials at the edge, problem bodies.
May import: collector, costing, exporter, ledger.
Never touches: SQL text, settings from the environment.
"""
