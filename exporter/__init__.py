"""Shows the state of metering to Prometheus.

Owns: the metric catalogue, the collectors, the metrics page and the alert rules.
May import: ledger.
Never touches: intake, prices, tenant pages.
"""
