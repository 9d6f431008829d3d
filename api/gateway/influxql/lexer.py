"""Cuts a query into words. What InfluxDB could read in another way than we do is refused here."""

import re
from collections.abc import Iterator

from lark import Token
from lark.common import LexerConf
from lark.lexer import Lexer

from api.gateway.influxql.errors import refuse

MAX_WORDS = 2000
MAX_DEPTH = 16
MAX_NAME = 128
MAX_DIGITS = 40
MAX_PATTERN = 1000

KEYWORDS = frozenset(
    [
        "SELECT", "FROM", "WHERE", "AND", "OR", "GROUP", "BY", "ORDER", "ASC", "DESC", "LIMIT",
        "OFFSET", "SLIMIT", "SOFFSET", "AS", "FILL", "TZ", "NOW", "TIME", "TRUE", "FALSE", "SHOW",
        "MEASUREMENTS", "MEASUREMENT", "TAG", "FIELD", "KEY", "KEYS", "VALUES", "DATABASES",
        "RETENTION", "POLICIES", "WITH", "ON", "IN",
    ]
)  # fmt: skip
"""Words that are no names unless they are quoted; `time` is none even then."""

_WORDS = re.compile(
    r"""
    (?P<BLANK>[ \t\r\n]+)
  | (?P<COMMENT>--|/\*)
  | (?P<WORD>[A-Za-z_][A-Za-z0-9_]*)
  | "(?P<QUOTED>(?:[^"\\]|\\.)*)"
  | '(?P<STRING>(?:[^'\\]|\\.)*)'
  | (?P<DURATION>(?:[0-9]+(?:ns|ms|[uµμsmhdw]))+(?![A-Za-z0-9_]))
  | (?P<NUMBER>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?![A-Za-z0-9_.]))
  | (?P<MATCHES>=~|!~)
  | (?P<_CAST>::)
  | (?P<COMPARES>!=|<>|<=|>=|<|>)
  | (?P<MARK>[=(),;*+/%-])
    """,
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_PATTERN = re.compile(r"[ \t\r\n]*/((?:[^/\\\n]|\\.)*)/")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MARKS = {
    "=": "_EQUALS", "(": "_OPEN", ")": "_CLOSE", ",": "_COMMA", ";": "_SEMICOLON", "*": "_STAR",
    "+": "_PLUS", "-": "_MINUS", "/": "_SLASH", "%": "_PERCENT",
}  # fmt: skip


class InfluxqlLexer(Lexer):
    """Yields the words of a query, as the grammar names them."""

    def __init__(self, lexer_conf: LexerConf) -> None:
        """Take what lark gives to every lexer; all that counts stands in this module."""

    def lex(self, data: str) -> Iterator[Token]:  # type: ignore[override] # lark wraps this form
        """Cut a text into words.

        Raises:
            InvalidError: `query_refused`.
        """
        place = depth = count = 0
        while place < len(data):
            found = _WORDS.match(data, place)
            if found is None:
                raise refuse(f"the query cannot be read from {data[place : place + 20]!r} on")
            place = found.end()
            if found.lastgroup == "BLANK":
                continue
            token = _read_word(str(found.lastgroup), found[str(found.lastgroup)])
            count += 1
            depth += {"_OPEN": 1, "_CLOSE": -1}.get(token.type, 0)
            if count > MAX_WORDS:
                raise refuse(f"a query has at most {MAX_WORDS} words")
            if depth > MAX_DEPTH:
                raise refuse(f"a query has at most {MAX_DEPTH} brackets in each other")
            yield token
            if token.type == "MATCHES":
                body, place = _read_pattern(data, place)
                yield Token("PATTERN", body)


def _read_word(kind: str, text: str) -> Token:
    match kind:
        case "COMMENT":
            raise refuse("comments are not taken")
        case "WORD":
            word = text.upper()
            return Token(f"_{word}" if word in KEYWORDS else "WORD", text)
        case "QUOTED":
            name = _unescape(text, '"')
            return Token("_TIME" if name.lower() == "time" else "QUOTED", name)
        case "STRING":
            return Token("STRING", _unescape(text, "'"))
        case "COMPARES":
            return Token("COMPARES", "!=" if text == "<>" else text)
        case "MARK":
            return Token(_MARKS[text], text)
        case _:
            if len(text) > MAX_DIGITS:
                raise refuse(f"a number has at most {MAX_DIGITS} characters")
            return Token(kind, text)


def _unescape(text: str, quote: str) -> str:
    r"""Return what a quoted text says: a backslash stands before a backslash or a quote alone."""

    def read(found: re.Match[str]) -> str:
        if found[1] not in {"\\", quote}:
            raise refuse(f"in quotes a backslash stands before {quote} or a backslash alone")
        return found[1]

    value = _ESCAPE.sub(read, text) if "\\" in text else text
    if not value.isprintable():
        raise refuse("names and strings have printable characters alone")
    if quote == '"' and not (1 <= len(value) <= MAX_NAME and not {'"', "\\"} & set(value)):
        raise refuse(f"a name has 1 to {MAX_NAME} characters, without quotes and backslashes")
    return value


def _read_pattern(data: str, place: int) -> tuple[str, int]:
    r"""Return the regular expression at a place, and where it ends.

    InfluxDB and we could disagree on where one with backslashes ends: to InfluxDB `\\/` is an
    escaped slash after a backslash. So slash and backslash are kept as codes, read alike by both.
    """
    found = _PATTERN.match(data, place)
    if found is None:
        raise refuse("after =~ and !~ comes a regular expression between slashes")
    body = _ESCAPE.sub(_read_escape, found[1])
    if not body.isprintable():
        raise refuse("regular expressions have printable characters alone")
    if not 1 <= len(body) <= MAX_PATTERN:
        raise refuse(f"a regular expression has 1 to {MAX_PATTERN} characters")
    return body, found.end()


def _read_escape(found: re.Match[str]) -> str:
    match found[1]:
        case "\\":
            return r"\x5C"
        case "/":
            return r"\x2F"
        case "Q" | "E" | "C":
            # Between \Q and \E a code would stand for itself; \C is half a character.
            raise refuse(rf"\{found[1]} is not taken in a regular expression")
        case _:
            return found[0]
