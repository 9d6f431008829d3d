"""What providers say of usage after the fact, and how it changes what is booked.

Owns: facts, their ranks, and the usage that they come to. May import: ledger, and of the collector
what checks values. Never touches: HTTP, signatures, prices.
"""
