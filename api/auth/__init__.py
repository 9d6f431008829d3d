"""Who calls, in which role, for which tenant: decided once, before a view runs.

Owns: credentials, policies of routes, cookies, CSRF tokens, the sessions that views may open.
May import: the rest of api's edge (errors, services), ledger.
Never touches: what a view answers.
"""
