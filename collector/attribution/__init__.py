"""Whose usage it is: what a provider names, mapped to tenants, and usage of nobody yet.

Owns: mappings, what they cover, and how usage gets from `_unattributed` to its tenant.
May import: ledger, and of the collector facts and what hides personal values.
Never touches: HTTP, signatures, prices.
"""
