"""Shows the state of metering to Prometheus.

Owns: the metric catalogue, the collectors and the metrics page.
May import: ledger.
Never touches: intake, prices, tenant pages.
"""
