"""What budgets have to say, on its way out.

Owns: delivery of the ledger's notices by mail and webhook, and the usage that a mail is.
May import: ledger.
Never touches: budgets and what is spent, HTTP routes, settings.
"""
