"""The description of the API as a page to read: tables of what goes in and what comes out."""

from collections.abc import Iterator, Mapping
from typing import Any

Described = Mapping[str, Any]

_KNOWN = {"Problem": "Problem"}
"""Schemas that are written out where they are used, by their titles."""

_HEAD = """<!-- Generated from openapi.json by `make pin`; edit the descriptions in `api/`. -->
# HTTP API

Every route of the description at `/api/openapi.json` ([committed copy](openapi.json)). Who may \
call what, and what holds for all of them, is on the page on [operations](operations.md#http).
"""


def render_reference(document: Described) -> str:
    """Return the page, in Markdown.

    Args:
        document: an OpenAPI 3 description.
    """
    lines = [_HEAD]
    for path, operations in sorted(document["paths"].items()):
        for method, operation in operations.items():
            lines += _render_operation(f"{method.upper()} {path}", operation)
    lines.append("## Schemas\n")
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += _render_schema(name, schema)
    return "\n".join(lines).rstrip() + "\n"


def _render_operation(name: str, operation: Described) -> Iterator[str]:
    yield f"## {name}\n"
    yield f"{operation['summary']}.".replace("?.", "?") + "\n"
    parameters = operation.get("parameters", [])
    if parameters:
        yield "| Parameter | In | Type | Meaning |\n|---|---|---|---|"
        for one in parameters:
            meaning = _cell(one.get("description", ""))
            yield f"| `{one['name']}` | {one['in']} | {_type(one['schema'])} | {meaning} |"
        yield ""
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        yield "| Body | Schema |\n|---|---|"
        for media, content in sorted(body.items()):
            yield f"| `{media}` | {_type(content.get('schema', {}))} |"
        yield ""
        for content in body.values():
            yield from _render_fields(content.get("schema", {}))
    yield "| Answer | Body | When |\n|---|---|---|"
    for status, answer in sorted(operation["responses"].items()):
        yield f"| {status} | {_bodies(answer)} | {_cell(answer.get('description', ''))} |"
    yield ""


def _bodies(answer: Described) -> str:
    said = [
        f"`{media}` {_type(content.get('schema', {}))}".rstrip()
        for media, content in sorted(answer.get("content", {}).items())
    ]
    return ", ".join(said) or "none"


def _render_schema(name: str, schema: Described) -> Iterator[str]:
    yield f"### {name}\n"
    if schema.get("description"):
        yield schema["description"].split("\n\n")[0].replace("\n", " ") + "\n"
    if "enum" in schema:
        yield _type(schema) + "\n"
    yield from _render_fields(schema)


def _render_fields(schema: Described) -> Iterator[str]:
    if not schema.get("properties"):
        return
    yield "| Field | Type | Meaning |\n|---|---|---|"
    yield from _render_rows(schema)
    yield ""


def _render_rows(schema: Described, prefix: str = "") -> Iterator[str]:
    """Yield a row a field, and after a list those of what is in it."""
    required = set(schema.get("required", ()))
    for field, one in schema.get("properties", {}).items():
        meaning = [one.get("description", ""), "" if field in required else "may be left out"]
        yield f"| `{prefix}{field}` | {_type(one)} | {_cell('; '.join(filter(None, meaning)))} |"
        yield from _render_rows(one.get("items", {}), f"{prefix}{field}[].")


def _type(schema: Described) -> str:
    """Return a type in words, with a link where it is one of the schemas."""
    if name := schema.get("$ref", "").rpartition("/")[2] or _KNOWN.get(schema.get("title", "")):
        return f"[{name}](#{name.lower()})"
    if choices := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return " or ".join(dict.fromkeys(_type(one) for one in choices))
    if values := schema.get("enum") or [one for one in [schema.get("const")] if one]:
        return " or ".join(f"`{value}`" for value in values)
    kind = str(schema.get("type", ""))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}".rstrip()
    return f"{kind} ({schema['format']})" if "format" in schema else kind


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
