"""Queries that want to see another tenant, to write, or to see what is nobody's."""

import re
from dataclasses import replace

from hypothesis import strategies as st

from api.gateway.influxql.render import render_select, render_show
from api.gateway.influxql.tree import Bound, Instant, Select
from tests.influxql_trees import selects, shows
from tests.service.gateway.points import DAYS, FIRST_DAY, NANOS_A_DAY

_START = int(FIRST_DAY.timestamp()) * 1_000_000_000
BEGUN = f"time >= {_START} AND time < {_START + DAYS * NANOS_A_DAY}"

ATTACKS = (
    # AND binds tighter than OR.
    f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN} AND (channel = 'x' OR channel != 'y')",
    f"SELECT cost FROM usage_cost WHERE channel = 'x' OR channel != 'y' AND {BEGUN}",
    f"SELECT cost FROM usage_cost WHERE {BEGUN} AND channel = 'x' OR channel != 'y'",
    f"SELECT cost FROM usage_cost WHERE {BEGUN} AND (channel = 'x') OR (channel != 'y')",
    f"SELECT cost FROM usage_cost WHERE {BEGUN}) OR (channel != 'y'",
    # The other tenant by name, by pattern, by what it is not.
    f"SELECT sum(cost) FROM usage_cost WHERE tenant = 'karachi' AND {BEGUN}",
    f"SELECT sum(cost) FROM usage_cost WHERE (tenant = 'karachi' OR tenant = 'acme') AND {BEGUN}",
    f"SELECT sum(cost) FROM usage_cost WHERE tenant =~ /.*/ AND {BEGUN}",
    f"SELECT sum(cost) FROM usage_cost WHERE tenant !~ /^acme$/ AND {BEGUN}",
    f"SELECT sum(cost) FROM usage_cost WHERE tenant != 'acme' AND {BEGUN}",
    f"SELECT sum(cost) FROM usage_cost WHERE \"tenant\"::field = 'karachi' AND {BEGUN}",
    f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN} GROUP BY tenant",
    f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN} GROUP BY *",
    f"SELECT cost, tenant FROM usage_cost WHERE {BEGUN}",
    f"SELECT * FROM usage_cost WHERE {BEGUN}",
    f"SELECT count(*) FROM usage WHERE {BEGUN}",
    f"SELECT top(cost, tenant, 5) FROM usage_cost WHERE {BEGUN}",
    f'SELECT distinct("name") FROM usage_tenant_day WHERE {BEGUN}',
    f'SELECT last("name"), cost FROM usage_tenant_day WHERE {BEGUN} GROUP BY plan',
    f"SELECT cost FROM usage_cost, usage_tenant_day WHERE {BEGUN}",
    # A condition outside of a subquery comes too late.
    f"SELECT sum(s) FROM (SELECT sum(cost) AS s FROM usage_cost GROUP BY tenant) WHERE {BEGUN}",
    f"SELECT s FROM (SELECT sum(cost) AS s FROM usage_cost) WHERE tenant = 'karachi' AND {BEGUN}",
    (f"SELECT s FROM (SELECT sum(cost) AS s FROM usage_cost GROUP BY tenant), (SELECT max(cost)"
     f" AS s FROM usage_tenant_day GROUP BY tenant) WHERE {BEGUN} GROUP BY tenant"),
    (f"SELECT max(s) FROM (SELECT s FROM (SELECT sum(cost) AS s FROM usage_cost GROUP BY tenant))"
     f" WHERE {BEGUN}"),
    # Comments, and what a filter at the end would be hidden by.
    f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN} --",
    f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN} /* ",
    f"SELECT sum(cost) FROM usage_cost WHERE /* */ {BEGUN}",
    # Quotes, escapes and patterns that end elsewhere for somebody else.
    f"SELECT sum(cost) FROM usage_cost WHERE channel = 'a\\' AND {BEGUN} OR channel != 'b'",
    f"SELECT sum(cost) FROM usage_cost WHERE channel = 'a\\\\' OR channel != 'b' AND {BEGUN}",
    f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN} AND channel = 'a'' OR tenant = ''karachi'",
    f'SELECT sum(cost) AS "a\\" FROM usage_cost WHERE {BEGUN} -- " FROM usage_cost',
    f'SELECT sum(cost) AS "x" FROM "usage_cost\\" FROM usage_cost" WHERE {BEGUN}',
    (f"SELECT sum(cost) FROM usage_cost WHERE channel =~ /a\\\\/ AND {BEGUN}"
     " AND model !~ / OR tenant =~ /"),
    f"SELECT sum(cost) FROM usage_cost WHERE channel =~ /\\// AND {BEGUN} AND model !~ /\\\\\\//",
    f"SELECT sum(cost) FROM usage_cost WHERE channel !~ /x\\\\/ AND {BEGUN} AND model !~ /y/",
    f"SELECT sum(cost) FROM usage_cost WHERE channel =~ /[/]/ OR tenant =~ /./ AND {BEGUN}",
    # Balanced brackets where a text would end early, and a comment over the rest.
    (f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN} AND channel =~ /a\\\\/"
     " AND model !~ /) OR (\"tenant\"::tag != 'x') --/"),
    (f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN}"
     " AND channel = 'a\\') OR (\"tenant\"::tag != \\'x'"),
    # Elsewhere.
    f"SELECT sum(cost) FROM elsewhere..usage_cost WHERE {BEGUN}",
    f'SELECT sum(cost) FROM "meterline"."autogen"."usage_cost" WHERE {BEGUN}',
    f"SELECT sum(cost) FROM /usage.*/ WHERE {BEGUN}",
    f'SELECT sum(cost) FROM "usage_cost","_internal" WHERE {BEGUN}',
    # More statements, and those that write.
    f"SELECT cost INTO stolen FROM usage_cost WHERE {BEGUN}",
    f"SELECT cost INTO elsewhere..usage_cost FROM usage_cost WHERE {BEGUN}",
    f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN}; SELECT sum(cost) FROM usage_cost",
    "; ".join([f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN}"] * 2),
    f"SHOW TAG VALUES WITH KEY = tenant; SELECT max(cost) FROM usage_cost WHERE {BEGUN}",
    "DROP MEASUREMENT usage_cost",
    "DROP DATABASE meterline",
    "DROP SERIES FROM usage",
    "DELETE FROM usage WHERE tenant = 'karachi'",
    "CREATE DATABASE mine",
    "CREATE USER me WITH PASSWORD 'x' WITH ALL PRIVILEGES",
    "ALTER RETENTION POLICY autogen ON meterline DURATION 1h",
    "KILL QUERY 1",
    "SHOW DATABASES; DROP DATABASE meterline",
    # Lists.
    "SHOW SERIES",
    "SHOW SERIES FROM usage_cost",
    "SHOW SERIES CARDINALITY",
    "SHOW DATABASES",
    "SHOW MEASUREMENTS",
    "SHOW MEASUREMENTS ON elsewhere",
    "SHOW TAG KEYS",
    "SHOW FIELD KEYS",
    "SHOW QUERIES",
    "SHOW USERS",
    "SHOW DIAGNOSTICS",
    "SHOW SHARDS",
    "SHOW CONTINUOUS QUERIES",
    "SHOW GRANTS FOR x",
    "SHOW TAG VALUES WITH KEY = tenant",
    "SHOW TAG VALUES FROM usage WITH KEY = tenant",
    "SHOW TAG VALUES FROM usage, usage_cost, usage_tenant_day WITH KEY IN (tenant, plan)",
    "SHOW TAG VALUES WITH KEY IN (tenant, model, feature, plan, channel, source)",
    "SHOW TAG VALUES WITH KEY = tenant WHERE tenant = 'karachi'",
    "SHOW TAG VALUES WITH KEY = tenant WHERE tenant = 'acme' OR tenant != 'acme'",
    "SHOW TAG VALUES WITH KEY = feature WHERE feature =~ /.*/ OR channel = ''",
    "SHOW TAG VALUES WITH KEY = feature WHERE channel = '' OR model = ''",
    f"SHOW TAG VALUES WITH KEY = feature WHERE {BEGUN}",
    f"SHOW TAG VALUES WITH KEY = tenant WHERE channel = 'sms' OR {BEGUN}",
    f"SHOW TAG VALUES WITH KEY = tenant WHERE (channel = 'x' AND {BEGUN}) OR channel != 'x'",
    "SHOW TAG VALUES WITH KEY = tenant WHERE time > 0 OR tenant = 'karachi'",
    "SHOW TAG VALUES WITH KEY = tenant WHERE cost > 0 OR tenant != ''",
    "SHOW TAG VALUES WITH KEY = tenant WHERE _name = 'usage' OR tenant != ''",
    "SHOW TAG VALUES WITH KEY = tenant WHERE _tagKey = 'tenant'",
    "SHOW TAG VALUES ON elsewhere WITH KEY = tenant",
    "SHOW TAG VALUES FROM /.*/ WITH KEY = tenant",
    "SHOW TAG VALUES WITH KEY != channel",
    # What could end the server.
    f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN} GROUP BY time(1ns)",
    f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN} GROUP BY time(1u) fill(0)",
    "SELECT sum(cost) FROM usage_cost GROUP BY time(1s)",
    f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN} LIMIT 9223372036854775807",
    f"SELECT moving_average(cost, 9223372036854775807) FROM usage_cost WHERE {BEGUN}",
    f"SELECT top(cost, 2147483647) FROM usage_cost WHERE {BEGUN}",
    "SELECT cost FROM usage_cost WHERE time > -9223372036854775808",
    "(" * 3000,
    "SELECT cost FROM " + "(SELECT cost FROM " * 1000,
)  # fmt: skip

_PLAIN = (
    ("SELECT sum(cost) FROM usage_cost WHERE (\"channel\"::tag = 'sms') AND {begun} GROUP BY"
     " time(1d), \"channel\"::tag fill(null) ORDER BY time ASC LIMIT 10 tz('Europe/Berlin')"),
    "SELECT sum(cost) / sum(count) AS x FROM usage_cost WHERE {begun} GROUP BY tenant",
    (
        "SELECT max(s) FROM (SELECT sum(cost) AS s FROM usage_cost WHERE {begun} GROUP BY time(1d),"
        " feature) WHERE {begun} GROUP BY feature"
    ),
    "SELECT top(cost, tenant, 3) FROM usage_tenant_day WHERE {begun}",
    "SELECT * FROM usage WHERE {begun} AND channel =~ /s.*/ LIMIT 3",
    'SELECT last("name") FROM usage_tenant_day WHERE {begun} AND plan !~ /x\\/y/ GROUP BY plan',
    "SHOW TAG VALUES FROM usage_cost WITH KEY IN (tenant, feature) WHERE channel = 'sms' LIMIT 9",
    "SHOW TAG KEYS; SHOW FIELD KEYS FROM usage; SHOW MEASUREMENTS WITH MEASUREMENT =~ /cost/",
)  # fmt: skip
_NASTY = (
    "OR", "AND", "OR tenant = 'karachi'", "OR channel != ''", ";", "--", "/*", "*/", "'", '"',
    "\\", "\\\\", "/", "/.*/", "/\\\\/", "tenant", '"tenant"::tag', "'karachi'", "= 'karachi'",
    "=~", "!~", "=~ /.*/", "!=", "<>", "''", "::tag", "::field", "::float", "INTO x", "..",
    '"elsewhere"..', "usage", "usage_cost", "usage_tenant_day", "(", ")", ",",
    "SELECT * FROM usage_cost", "SELECT", "(SELECT sum(cost) AS s FROM usage_cost)",
    "SHOW TAG VALUES WITH KEY = tenant", "SHOW SERIES", "DROP SERIES FROM usage",
    "DELETE FROM usage", "time", "time > 0", "now()", "- 1d", "1w", "\x00", "\n", "\t", "\xb5",
    "\xe9", "9" * 20, "-1", "1e5", "0.5", "*", "+", "%", "GROUP BY tenant", "GROUP BY *",
    "fill(previous)", "LIMIT 1", "SLIMIT 1", "SOFFSET 1", "tz('UTC')", "ORDER BY time DESC",
    "_name", "cost", "count", "name", "mean(cost)", "count(distinct(name))", "AS x", "true",
    "\u201c",
)  # fmt: skip
_WORD = re.compile(r"\s+|\w+|'[^']*'|.", re.DOTALL)


def _edit(words: list[str], kind: str, place: int, nasty: str) -> list[str]:
    at = place % (len(words) + 1)
    match kind:
        case "insert":
            return [*words[:at], " ", nasty, " ", *words[at:]]
        case "replace":
            return [*words[:at], nasty, *words[at + 1 :]]
        case "delete":
            return [*words[:at], *words[at + 1 :]]
        case _:
            return [*words[:at], *words[at:][:3], *words[at:]]


_edits = st.tuples(
    st.sampled_from(("insert", "replace", "delete", "repeat")),
    st.integers(0, 80),
    st.sampled_from(_NASTY),
)


def _mutate(text: str, edits: list[tuple[str, int, str]]) -> str:
    words = _WORD.findall(text.format(begun=BEGUN))
    for edit in edits:
        words = _edit(words, *edit)
    return "".join(words)


def _bounded(select: Select) -> str:
    start, end = Instant(_START), Instant(_START + DAYS * NANOS_A_DAY)
    return render_select(replace(select, bounds=(Bound(">=", start), Bound("<", end))))


queries = st.one_of(
    st.builds(_mutate, st.sampled_from(_PLAIN), st.lists(_edits, max_size=3)),
    st.builds(
        _mutate,
        st.sampled_from(ATTACKS).filter(lambda a: "{" not in a),
        st.lists(_edits, max_size=1),
    ),
    selects.map(_bounded),
    shows.map(lambda show: render_show(replace(show, database=None))),
)
"""Texts, about half of which are taken."""
