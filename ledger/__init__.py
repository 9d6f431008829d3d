"""The vocabulary of metering (tenant, event, unit, period, money) and its storage in SQL.

Owns: the words, the tables, the sessions and the settings.
May import: nobody.
Never touches: HTTP, prices, providers.
"""
