"""Settings by subject: each group is a model that `ledger.settings.Settings` is made of.

Owns: fields, defaults and what makes a value wrong.
May import: ledger.
Never touches: the environment.

A validator's name is its own among all groups: of two with one name only one would run.
"""
