"""The demo: invented tenants and their usage, sent through the real intake.

Owns: the invented tenants, what they use, the mark of a demo ledger, `meterline demo`.
May import: collector, costing, ledger, the first catalogue and the wiring.
Never touches: a ledger that it did not make, rollups.
"""
