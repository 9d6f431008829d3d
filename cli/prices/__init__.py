"""`meterline prices`: what rates usage, and everything that changes it but a reprice.

Owns: the commands of the group and the tables that they print.
May import: costing, ledger and the wiring.
Never touches: raw usage, prices of rows that are rated.
"""
