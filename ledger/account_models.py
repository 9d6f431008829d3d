"""The tables of accounts. `ledger.models` has them too, with all the others.

They do not grow with usage, and a person without a tenant has rows in them: users are few, and of
the other three a row is taken out after it expired.
"""

import sqlalchemy as sa

from ledger.columns import UtcDateTime, plain_text
from ledger.registry import metadata

users = sa.Table(
    "users",
    metadata,
    sa.Column("login", plain_text(64), primary_key=True),
    sa.Column("role", plain_text(16), nullable=False),
    sa.Column("tenant_id", plain_text(64)),
    sa.Column("password_hash", plain_text(255), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("disabled_at", UtcDateTime),
)

sign_ins = sa.Table(
    "sign_ins",
    metadata,
    sa.Column("token_hash", sa.LargeBinary(32), primary_key=True),
    # The user of ours whose sign-in it is; none where the host vouched for the subject.
    sa.Column("login", plain_text(64)),
    sa.Column("subject", plain_text(128), nullable=False),
    sa.Column("role", plain_text(16), nullable=False),
    sa.Column("tenant_id", plain_text(64)),
    sa.Column("expires_at", UtcDateTime, nullable=False, index=True),
)

sign_in_links = sa.Table(
    "sign_in_links",
    metadata,
    sa.Column("code_hash", sa.LargeBinary(32), primary_key=True),
    sa.Column("subject", plain_text(128), nullable=False),
    sa.Column("role", plain_text(16), nullable=False),
    sa.Column("tenant_id", plain_text(64)),
    sa.Column("expires_at", UtcDateTime, nullable=False, index=True),
)

sign_in_failures = sa.Table(
    "sign_in_failures",
    metadata,
    sa.Column("failure_id", sa.Uuid, primary_key=True),
    sa.Column("address_hash", sa.LargeBinary(32), nullable=False, index=True),
    sa.Column("login_hash", sa.LargeBinary(32), nullable=False),
    sa.Column("failed_at", UtcDateTime, nullable=False, index=True),
)
