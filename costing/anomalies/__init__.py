"""Days on which a tenant spent far more on a channel than in the weeks before.

Owns: what counts as usual, the search, the list of what was found.
May import: ledger.
Never touches: budgets, raw usage, HTTP.
"""
