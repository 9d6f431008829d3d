"""What tenants mean to spend, and how far they are.

Owns: budgets and their revisions, periods, crossings of thresholds, the forecast of a period.
May import: ledger.
Never touches: delivery of notices, HTTP, settings.
"""
