"""What counts as spending on AI, on Twilio and as e-mails sent: conditions on rollup rows."""

import sqlalchemy as sa

from ledger.models import usage_rollups_daily

_ROLLUP = usage_rollups_daily.c

IS_AI: sa.ColumnElement[bool] = _ROLLUP.channel == "ai"
IS_TWILIO: sa.ColumnElement[bool] = _ROLLUP.source == "twilio"
IS_SENT_EMAIL: sa.ColumnElement[bool] = sa.and_(
    _ROLLUP.channel == "email", _ROLLUP.direction == "outbound"
)
