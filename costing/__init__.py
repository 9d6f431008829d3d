"""Turns booked events into priced daily rollups, and proves that the totals tie.

Owns: price books, rating, rollups, the journal, verification, retention, the CSV export.
May import: ledger.
Never touches: intake, HTTP, the wall clock.
"""
