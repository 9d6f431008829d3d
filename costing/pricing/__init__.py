"""Which price a rollup row has: price files, their layers, and the cards that rate rows.

Owns: price entries, the flat map, the price catalogue, resolution, rating.
May import: ledger.
Never touches: rollup rows, but to count those that a price comes too late for; HTTP; the clock.
"""
