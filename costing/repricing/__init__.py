"""Rates rollup rows again by the price book as it is now: on command, with a reason, audited.

Owns: what a repricing changes, and how it is written.
May import: ledger, the rest of costing.
Never touches: sums of usage, the wall clock.
"""
