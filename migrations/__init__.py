"""The schema's history, one Alembic revision a step.

Owns: every DDL statement.
May import: ledger.
Never touches: settings, the running application.
"""
