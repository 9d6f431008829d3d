"""Who may sign in, what their browsers hold, and how often a wrong password may be tried.

Owns: roles, passwords, users, sign-ins, one-time links, counted failures.
May import: ledger.
Never touches: HTTP, cookies, API keys, usage.
"""
