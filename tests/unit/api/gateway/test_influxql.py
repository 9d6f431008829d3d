"""What of InfluxQL is taken, how it is confined, and that a tree says the same as its text."""

from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from hypothesis import given, settings

from api.gateway.influxql.parsing import MAX_STATEMENTS, MAX_TEXT, Parser
from api.gateway.influxql.preparing import prepare_for_operator, prepare_for_tenant
from api.gateway.influxql.render import render_select, render_show
from api.gateway.influxql.tree import Select, ShowNames, ShowTagValues
from ledger.errors import InvalidError
from ledger.tenant import TenantId
from tests.influxql_trees import selects, shows

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
NOW_NANOS = 1_773_144_000_000_000_000
HOUR = 3_600_000_000_000
LAST_HOUR = f"time >= {NOW_NANOS - HOUR} AND time < {NOW_NANOS}"
ACME = "\"tenant\"::tag = 'acme'"


@pytest.fixture(scope="module")
def parser() -> Parser:
    return Parser()


def read_one(parser: Parser, text: str) -> Select | ShowTagValues:
    (statement,) = parser.parse(text)
    assert not isinstance(statement, ShowNames)
    return statement


def confined(parser: Parser, text: str) -> str:
    return prepare_for_tenant(read_one(parser, text), TenantId("acme"), now=NOW).text


def prepare_all(parser: Parser, text: str) -> None:
    for statement in parser.parse(text):
        if not isinstance(statement, ShowNames):
            prepare_for_tenant(statement, TenantId("acme"), now=NOW)


def refused(parser: Parser, text: str) -> str:
    with pytest.raises(InvalidError) as found:
        prepare_all(parser, text)
    assert "query_refused" == found.value.code
    return found.value.message


class Taken(NamedTuple):
    text: str
    sent: str


FROM = 'FROM "usage_cost" WHERE'
TAKEN = [
    Taken(
        'SELECT mean("cost") FROM "usage_cost" WHERE ("channel"::tag = \'web\') AND'
        ' time >= 1773140400000ms and time <= 1773144000000ms GROUP BY time(1m), "channel"::tag'
        " fill(null) ORDER BY time ASC limit 5 slimit 6 tz('Europe/Berlin')",
        f'SELECT mean("cost") {FROM} ({ACME}) AND ("channel"::tag = \'web\') AND'
        f' time >= {NOW_NANOS - HOUR} AND time < {NOW_NANOS + 1} GROUP BY time(1m), "channel"::tag'
        " fill(null) ORDER BY time ASC LIMIT 5 SLIMIT 6 tz('Europe/Berlin')",
    ),
    Taken(
        "select cost from usage_cost where time >= now()-1h and (channel='a' or feature = 'b')",
        f'SELECT "cost" {FROM} ({ACME}) AND (("channel" = \'a\') OR ("feature" = \'b\'))'
        f" AND {LAST_HOUR}",
    ),
    Taken(
        "SELECT sum(cost)/sum(count)*2 - -1 AS x FROM usage_cost WHERE time >= now() - 60m",
        f'SELECT (sum("cost") / sum("count") * 2) - (-1) AS "x" {FROM} {ACME} AND {LAST_HOUR}',
    ),
    Taken(
        "SELECT max(s) FROM (SELECT sum(cost) AS s FROM usage_cost GROUP BY channel)"
        " WHERE time >= now() - 1h",
        f'SELECT max("s") FROM (SELECT sum("cost") AS "s" {FROM} {ACME} AND {LAST_HOUR}'
        f' GROUP BY "channel") WHERE {LAST_HOUR}',
    ),
    Taken(
        "SELECT cost FROM usage_cost WHERE time >= '2026-03-10 12:00' AND time < '2026-03-10'+14h"
        " tz('Europe/Berlin')",
        f'SELECT "cost" {FROM} {ACME} AND time >= {NOW_NANOS - HOUR} AND time < {NOW_NANOS + HOUR}'
        " tz('Europe/Berlin')",
    ),
    Taken(
        r"SELECT cost FROM usage_cost WHERE time >= now() - 1h AND feature =~ /^a\/b\\c\.d$/",
        rf'SELECT "cost" {FROM} ({ACME}) AND ("feature" =~ /^a\x2Fb\x5Cc\.d$/) AND {LAST_HOUR}',
    ),
    Taken(
        r"SELECT cost FROM usage_cost WHERE time >= now() - 1h AND model = 'a\\b\'c'",
        rf"""SELECT "cost" {FROM} ({ACME}) AND ("model" = 'a\\b\'c') AND {LAST_HOUR}""",
    ),
    Taken(
        "SELECT cost FROM usage_cost WHERE time >= now() - 1h AND time >= now() - 3h GROUP BY *",
        f'SELECT "cost" {FROM} {ACME} AND {LAST_HOUR} GROUP BY *',
    ),
    Taken(
        "SELECT s FROM (SELECT SUM(cost) AS s FROM usage_cost WHERE time >= now() - 3h),"
        " (SELECT max(cost) AS s FROM usage_cost WHERE time < now() - 30m) WHERE time >= now() - 1h"
        " ORDER BY time LIMIT 100000;",
        f'SELECT "s" FROM (SELECT sum("cost") AS "s" {FROM} {ACME} AND {LAST_HOUR}),'
        f' (SELECT max("cost") AS "s" {FROM} {ACME} AND time >= {NOW_NANOS - HOUR}'
        f" AND time < {NOW_NANOS - HOUR // 2}) WHERE {LAST_HOUR} ORDER BY time ASC LIMIT 100000",
    ),
    Taken(
        "SELECT sum(cost) FROM usage_cost WHERE channel <> 'a' AND time >= now() - 1h"
        " GROUP BY time(1d, -6h) FILL(NULL)",
        f'SELECT sum("cost") {FROM} ({ACME}) AND ("channel" != \'a\') AND {LAST_HOUR}'
        " GROUP BY time(1d, -6h) fill(null)",
    ),
    Taken(
        'SHOW TAG VALUES FROM "usage" WITH KEY = "feature" WHERE "channel" = \'sms\' LIMIT 10',
        'SHOW TAG VALUES FROM "usage" WITH KEY IN ("feature") WHERE'
        f" ({ACME}) AND (\"channel\" = 'sms') LIMIT 10",
    ),
    Taken(
        'show tag values with key in (feature, "plan")',
        f'SHOW TAG VALUES FROM "usage_cost" WITH KEY IN ("feature", "plan") WHERE {ACME}',
    ),
]


@pytest.mark.parametrize(("text", "sent"), TAKEN)
def test_a_statement_is_written_anew_with_its_tenant_and_its_time(
    parser: Parser, text: str, sent: str
) -> None:
    assert sent == confined(parser, text)


SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("bounds", "start", "end"),
    [
        ("time > now() - 1h", NOW_NANOS - HOUR + 1, NOW_NANOS),
        ("time >= now() - 1h AND time <= now()", NOW_NANOS - HOUR, NOW_NANOS + 1),
        ("time = now()", NOW_NANOS, NOW_NANOS + 1),
        ("time >= now() - 1h + 30m - 10m", NOW_NANOS - 40 * HOUR // 60, NOW_NANOS),
        ("time >= now() - 400d", NOW_NANOS - 400 * 24 * HOUR, NOW_NANOS),
        ("time >= now() - 1w", NOW_NANOS - 7 * 24 * HOUR, NOW_NANOS),
        ("time >= now() - 1d1m1s", NOW_NANOS - 24 * HOUR - 61 * SECOND, NOW_NANOS),
        ("time >= now() - 1ms", NOW_NANOS - 1_000_000, NOW_NANOS),
        ("time >= now() - 1u", NOW_NANOS - 1000, NOW_NANOS),
        ("time >= now() - 1\xb5", NOW_NANOS - 1000, NOW_NANOS),
        ("time >= now() - 1\u03bc", NOW_NANOS - 1000, NOW_NANOS),
        ("time >= now() - 1ns", NOW_NANOS - 1, NOW_NANOS),
        (f"time >= {NOW_NANOS - 5}", NOW_NANOS - 5, NOW_NANOS),
        ("time >= '2026-03-10 11:59:59'", NOW_NANOS - SECOND, NOW_NANOS),
        ("time >= '2026-03-10T11:59:59.25Z'", NOW_NANOS - 3 * SECOND // 4, NOW_NANOS),
        ("time >= '2026-03-10 11:59:59.000000001'", NOW_NANOS - SECOND + 1, NOW_NANOS),
        ("time >= '2026-03-10T16:00:00+05:00'", NOW_NANOS - HOUR, NOW_NANOS),
        ("time >= '2026-03-10T11:00:00Z' tz('Asia/Karachi')", NOW_NANOS - HOUR, NOW_NANOS),
    ],
)
def test_a_time_is_the_instant_that_it_says(
    parser: Parser, bounds: str, start: int, end: int
) -> None:
    sent = confined(parser, f"SELECT cost FROM usage_cost WHERE {bounds}").partition(" tz(")[0]
    assert sent.endswith(f"{ACME} AND time >= {start} AND time < {end}")


def test_a_statement_of_an_operator_has_no_tenant(parser: Parser) -> None:
    statement = read_one(parser, "SELECT cost FROM usage_cost WHERE time >= now() - 1h")
    sent = prepare_for_operator(statement, now=NOW).text
    assert f'SELECT "cost" FROM "usage_cost" WHERE {LAST_HOUR}' == sent


@settings(max_examples=100)
@given(selects)
def test_a_select_is_what_its_text_says(parser: Parser, select: Select) -> None:
    assert (select,) == parser.parse(render_select(select))


@settings(max_examples=50)
@given(shows)
def test_a_show_is_what_its_text_says(parser: Parser, show: ShowTagValues) -> None:
    assert (show,) == parser.parse(render_show(show))


BEGUN = "time > now() - 1h"
REFUSED = [
    # Other statements, and what would write or look elsewhere.
    ("DROP MEASUREMENT usage_cost", "DROP"),
    ("DELETE FROM usage_cost", "DELETE"),
    ("CREATE DATABASE x", "CREATE"),
    ("SHOW SERIES", "SERIES"),
    ("SHOW QUERIES", "QUERIES"),
    ("SHOW USERS", "USERS"),
    ("SHOW TAG VALUES CARDINALITY WITH KEY = tenant", "CARDINALITY"),
    ("EXPLAIN ANALYZE SELECT cost FROM usage_cost", "EXPLAIN"),
    (f"SELECT cost INTO x FROM usage_cost WHERE {BEGUN}", "INTO"),
    ('SELECT cost FROM "other".."usage_cost"', "cannot be read"),
    ("SELECT cost FROM meterline.autogen.usage_cost", "cannot be read"),
    ("SELECT cost FROM /.*/", "at '/'"),
    ("SELECT cost FROM _internal", "no measurement"),
    (f"SELECT cost FROM usage_cost, (SELECT cost FROM usage_cost) WHERE {BEGUN}", "at '('"),
    (f"SELECT cost FROM usage_cost WHERE {BEGUN}; DROP SERIES", "DROP"),
    ("SELECT cost FROM usage_cost -- WHERE", "comments"),
    ("SELECT cost /* x */ FROM usage_cost", "comments"),
    # Names.
    (f"SELECT secret FROM usage_cost WHERE {BEGUN}", 'no "secret"'),
    (f"SELECT cost FROM usage WHERE {BEGUN}", 'no "cost"'),
    (f"SELECT cost FROM usage_cost WHERE _name = 'x' AND {BEGUN}", "underscore"),
    (f"SELECT x FROM (SELECT cost AS x FROM usage_cost) WHERE _field = 'x' AND {BEGUN}",
     "underscore"),
    (f"SELECT cost::tag FROM usage_cost WHERE {BEGUN}", 'no "cost"'),
    (f"SELECT cost::float FROM usage_cost WHERE {BEGUN}", "float"),
    (f"SELECT cost FROM usage_cost WHERE {BEGUN} GROUP BY cost", 'no "cost"'),
    (f"SELECT cost FROM usage_cost WHERE tenant > 'a' AND {BEGUN}", "a tag is compared"),
    (f"SELECT cost FROM usage_cost WHERE tenant = 5 AND {BEGUN}", "a tag is compared"),
    (f'SELECT cost AS "a\\"b" FROM usage_cost WHERE {BEGUN}', "without quotes"),
    (f'SELECT cost AS "" FROM usage_cost WHERE {BEGUN}', "1 to"),
    (f'SELECT cost AS "{"a" * 129}" FROM usage_cost WHERE {BEGUN}', "1 to 128"),
    (f"SELECT cost AS _name FROM usage_cost WHERE {BEGUN}", "underscore"),
    (f"SELECT cost + secret FROM usage_cost WHERE {BEGUN}", 'no "secret"'),
    (f"SELECT cost FROM usage_cost WHERE {BEGUN} AND channel = 'a' AND secret = 'b'",
     'no "secret"'),
    (f"SELECT cost FROM usage_cost WHERE {BEGUN} AND (channel = 'a' OR secret = 'b')",
     'no "secret"'),
    ("SHOW MEASUREMENTS WITH MEASUREMENT !~ /cost/", "a part of one"),
    ("SHOW TAG VALUES WITH KEY = cost", 'no "cost"'),
    ("SHOW TAG VALUES WITH KEY =~ /.*/", "=~"),
    ("SHOW TAG VALUES WITH KEY = tenant WHERE cost > 1", 'no "cost"'),
    # Functions.
    (f"SELECT sample(cost, 5) FROM usage_cost WHERE {BEGUN}", "no function"),
    (f"SELECT sum(secret) FROM usage_cost WHERE {BEGUN}", 'no "secret"'),
    (f"SELECT top(cost, secret, 5) FROM usage_cost WHERE {BEGUN}", 'no "secret"'),
    (f"SELECT top(cost, 0) FROM usage_cost WHERE {BEGUN}", "up to 1000"),
    (f"SELECT sum(cost, 5) FROM usage_cost WHERE {BEGUN}", "takes"),
    (f"SELECT sum(cost + 5) FROM usage_cost WHERE {BEGUN}", "takes"),
    (f"SELECT top(cost, 1001) FROM usage_cost WHERE {BEGUN}", "up to 1000"),
    (f"SELECT moving_average(cost, 2147483647) FROM usage_cost WHERE {BEGUN}", "up to 1000"),
    (f"SELECT top(cost, channel) FROM usage_cost WHERE {BEGUN}", "takes"),
    (f"SELECT percentile(cost, -1) FROM usage_cost WHERE {BEGUN}", "takes"),
    # Conditions.
    (f"SELECT cost FROM usage_cost WHERE channel = 'a' OR {BEGUN}", "beside AND"),
    (f"SELECT cost FROM usage_cost WHERE channel = 'a' OR (cost > 1 AND {BEGUN})", "beside AND"),
    (f"SELECT cost FROM usage_cost WHERE 1 = 1 AND {BEGUN}", "at '1'"),
    (f"SELECT cost FROM usage_cost WHERE 'a' = channel AND {BEGUN}", "at 'a'"),
    (f"SELECT cost FROM usage_cost WHERE cost * 2 > 1 AND {BEGUN}", "at '*'"),
    (f"SELECT cost FROM usage_cost WHERE true AND {BEGUN}", "at 'true'"),
    (f"SELECT cost FROM usage_cost WHERE channel =~ 'a' AND {BEGUN}", "regular expression"),
    (f"SELECT cost FROM usage_cost WHERE channel =~ /a\\Qb/ AND {BEGUN}", "\\Q"),
    (f"SELECT cost FROM usage_cost WHERE channel =~ /a\\Eb/ AND {BEGUN}", "\\E"),
    (f"SELECT cost FROM usage_cost WHERE channel =~ /a\\Cb/ AND {BEGUN}", "\\C"),
    (f"SELECT cost FROM usage_cost WHERE channel =~ /a\tb/ AND {BEGUN}", "printable"),
    (f"SELECT cost FROM usage_cost WHERE channel =~ /a\nb/ AND {BEGUN}", "regular expression"),
    (f"SELECT cost FROM usage_cost WHERE channel =~ // AND {BEGUN}", "regular expression"),
    (f"SELECT cost FROM usage_cost WHERE {BEGUN} AND channel =~ /a\\\\/ AND model =~ / OR",
     "between slashes"),
    # Characters.
    (f"SELECT cost FROM usage_cost WHERE channel = 'a\x00' AND {BEGUN}", "printable"),
    (f"SELECT cost FROM usage_cost WHERE channel = 'a\n' AND {BEGUN}", "printable"),
    (f"SELECT cost FROM usage_cost WHERE channel = 'a\\n' AND {BEGUN}", "backslash"),
    (f"SELECT cost FROM usage_cost WHERE channel = 'a\\' AND {BEGUN}", "cannot be read"),
    (f"SELECT cost\x00 FROM usage_cost WHERE {BEGUN}", "cannot be read"),
    (f"SELECT cost FROM usage_cost WHERE channel = \u2018a\u2019 AND {BEGUN}", "cannot be read"),
    # Time.
    ("SELECT cost FROM usage_cost", "from when on"),
    ("SELECT cost FROM usage_cost WHERE time < now()", "from when on"),
    ("SELECT max(x) FROM (SELECT cost AS x FROM usage_cost)", "from when on"),
    ("SELECT cost FROM usage_cost WHERE time > now() - 401d", "400 days"),
    ("SELECT cost FROM usage_cost WHERE time > 0", "400 days"),
    ("SELECT cost FROM usage_cost WHERE time != 0", "is compared by"),
    ("SELECT cost FROM usage_cost WHERE time <> 0", "is compared by"),
    ("SELECT cost FROM usage_cost WHERE time > 1.5", "whole nanoseconds"),
    ("SELECT cost FROM usage_cost WHERE time > '1969-12-31' AND time < '1970-01-02'",
     "1970 and 2200"),
    (f"SELECT x FROM (SELECT cost AS x FROM usage_cost) WHERE \"Time\" = 'x' AND {BEGUN}",
     "is written like"),
    ("SELECT cost FROM usage_cost WHERE time > -1", "at '-'"),
    ("SELECT cost FROM usage_cost WHERE time > '2026-02-30'", "is written like"),
    ("SELECT cost FROM usage_cost WHERE time > 'yesterday'", "is written like"),
    ("SELECT cost FROM usage_cost WHERE time > now() - 100w * 2", "at '*'"),
    ("SELECT cost FROM usage_cost WHERE time > 9223372036854775807", "1970 and 2200"),
    (f"SELECT cost FROM usage_cost WHERE {BEGUN} tz('Mars/Base')", "IANA"),
    (f"SELECT cost FROM usage_cost WHERE {BEGUN} tz('../../etc/passwd')", "IANA"),
    (f"SELECT cost FROM usage_cost WHERE {BEGUN} tz('Europe')", "IANA"),
    # Size.
    (f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN} GROUP BY time(1ns)", "between 1s"),
    (f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN} GROUP BY time(0s)", "between 1s"),
    (f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN} GROUP BY time(1h, 999d)", "between 1s"),
    (f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN} GROUP BY time(1h, -999d)", "between 1s"),
    ("SELECT sum(cost) FROM usage_cost WHERE time >= now() - 11001s GROUP BY time(1s)", "11000"),
    (f"SELECT sum(cost) FROM usage_cost WHERE {BEGUN} GROUP BY time(1h), time(1d)", "one time()"),
    ("SELECT sum(cost) FROM usage_cost WHERE time > now() - 30d GROUP BY time(1s)", "11000"),
    (f"SELECT sum(x) FROM (SELECT cost AS x FROM usage_cost WHERE {BEGUN}) GROUP BY time(1s)",
     "from when on"),
    (f"SELECT cost FROM usage_cost WHERE {BEGUN} LIMIT 9223372036854775808", "at most 100000"),
    (f"SELECT cost FROM usage_cost WHERE {BEGUN} LIMIT 1.5", "at most 100000"),
    (f"SELECT cost FROM usage_cost WHERE {BEGUN} SOFFSET 100001", "at most 100000"),
    (f"SELECT cost * {'9' * 30} FROM usage_cost WHERE {BEGUN}", "15 digits"),
    (f"SELECT cost * {'9' * 6000} FROM usage_cost WHERE {BEGUN}", "at most 40"),
    (f"SELECT cost FROM usage_cost WHERE time > now() - {'9' * 25}w", "146 years"),
    (f"SELECT {'(' * 17}cost{')' * 17} FROM usage_cost WHERE {BEGUN}", "16 brackets"),
    (f"SELECT {'cost+' * 1500}cost FROM usage_cost WHERE {BEGUN}", "2000 words"),
    (f"SELECT {'cost,' * 50}cost FROM usage_cost WHERE {BEGUN}", "50 columns"),
    (f"SELECT cost FROM usage_cost WHERE {BEGUN} GROUP BY plan{', plan' * 50}", "50 columns"),
    (f"SELECT cost FROM usage_cost{', usage_cost' * 50} WHERE {BEGUN}", "50 columns"),
    (f"SELECT a FROM {', '.join(['(SELECT cost AS a FROM usage_cost)'] * 10)} WHERE {BEGUN}",
     "10 SELECTs"),
    (f"SELECT cost FROM usage_cost WHERE {BEGUN} AND channel =~ /{'a' * 1001}/", "1000 characters"),
    (";".join(["SHOW DATABASES"] * (MAX_STATEMENTS + 1)), "statements"),
    (" " * MAX_TEXT + "SHOW DATABASES", "20000 characters"),
    (f"SELECT cost FROM usage_cost WHERE {BEGUN} fill(everything)", "fill()"),
    ("", "at its end"),
    (";", "at ';'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_what_is_not_taken_is_refused_with_the_reason(
    parser: Parser, text: str, reason: str
) -> None:
    assert reason in refused(parser, text)


def test_a_long_condition_is_no_deep_tree(parser: Parser) -> None:
    text = " OR ".join(["channel='a'"] * 400)
    sent = confined(parser, f"SELECT cost FROM usage_cost WHERE ({text}) AND {BEGUN}")
    assert 400 == sent.count('"channel"')


def test_a_parser_keeps_nothing_of_a_query_that_it_refused(parser: Parser) -> None:
    refused(parser, "SELECT ((((cost FROM")
    assert 1 == len(parser.parse("SHOW DATABASES"))
