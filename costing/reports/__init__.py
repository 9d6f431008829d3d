"""What people are shown of usage and cost, as values: read from the rollups, never from raw usage.

Owns: summaries, daily series, feature tables, the grid of tenants, shares and their percentages.
May import: ledger, costing.
Never touches: raw usage, writing, HTTP, pages.
"""
