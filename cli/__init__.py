"""The `meterline` command, and the only place where settings become running parts.

Owns: commands, messages, exit codes, the wiring.
May import: api, collector, costing, exporter, grafana, ledger.
Never touches: SQL text, billing rules.
"""
