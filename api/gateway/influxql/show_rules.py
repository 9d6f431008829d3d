"""Rules of SHOW."""

import re
from dataclasses import replace
from typing import Any

from lark import Token, Transformer, v_args

from api.gateway.influxql.errors import refuse
from api.gateway.influxql.tree import ShowNames, ShowTagValues, Subject, Window
from api.gateway.influxql.where_rules import Where
from collector.relay.points import USAGE_COST

_PLAIN_PATTERN = re.compile(r"(?:\(\?i\))?([A-Za-z0-9_ -]+)", re.ASCII)


@v_args(inline=True)
class ShowRules(Transformer[Token, Any]):
    """What lark calls for the rules of SHOW. Lists of names are the same whatever WHERE says."""

    def databases(self) -> ShowNames:
        return ShowNames(subject=Subject.DATABASES)

    def policies(self, database: str | None) -> ShowNames:
        return ShowNames(subject=Subject.RETENTION_POLICIES, database=database)

    def show_measurements(
        self, database: str | None, wanted: ShowNames, _where: Where, *window: int | None
    ) -> ShowNames:
        return replace(wanted, database=database, window=_window(*window))

    def tag_keys(
        self, database: str | None, names: tuple[str, ...], _where: Where, *window: int | None
    ) -> ShowNames:
        return ShowNames(
            subject=Subject.TAG_KEYS,
            measurements=names,
            database=database,
            window=_window(*window),
        )

    def field_keys(
        self, database: str | None, names: tuple[str, ...], _where: Where, *window: int | None
    ) -> ShowNames:
        return ShowNames(
            subject=Subject.FIELD_KEYS,
            measurements=names,
            database=database,
            window=_window(*window),
        )

    def tag_values(
        self,
        database: str | None,
        names: tuple[str, ...],
        keys: tuple[str, ...],
        where: Where,
        *window: int | None,
    ) -> ShowTagValues:
        return ShowTagValues(
            # It has every tag there is, and is small.
            measurements=names or (USAGE_COST,),
            keys=keys,
            database=database,
            condition=where[0],
            bounds=where[1],
            window=_window(*window),
        )

    def on(self, name: str | None = None) -> str | None:
        return name

    def origin(self, names: tuple[str, ...] = ()) -> tuple[str, ...]:
        return names

    def any_measurement(self) -> ShowNames:
        return ShowNames(subject=Subject.MEASUREMENTS)

    def one_measurement(self, name: str) -> ShowNames:
        return ShowNames(subject=Subject.MEASUREMENTS, named=name)

    def measurements_like(self, operator: Token, body: Token) -> ShowNames:
        found = _PLAIN_PATTERN.fullmatch(body)
        if operator != "=~" or found is None:
            raise refuse("MEASUREMENT is compared with a name, or with =~ and a part of one")
        return ShowNames(subject=Subject.MEASUREMENTS, containing=found[1].lower())

    def keys(self, *names: str) -> tuple[str, ...]:
        return names


def _window(limit: int | None, offset: int | None) -> Window:
    return Window(limit=limit, offset=offset)
