import ast
import re
from pathlib import Path

from api.app import create_app
from api.services import Services
from cli.main import main
from collector.metadata import DEFAULT_KEYS
from exporter.catalogue import METRICS
from ledger.settings import Settings

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs/operations.md").read_text()
CODE = re.compile(r"[a-z0-9]+(_[a-z0-9]+)+")
# Made from a key, by two branches or by their class, or handed on through a parameter.
INDIRECT_CODES = {
    "ambiguous_column",
    "id_conflict",
    "internal_error",
    "invalid_count",
    "invalid_quantity",
    "missing_column",
    "too_many_attempts",
    "unknown_channel",
    "unknown_direction",
}


def raised_codes() -> set[str]:
    codes = set()
    for package in (
        "api",
        "cli",
        "collector",
        "costing",
        "exporter",
        "grafana",
        "ledger",
        "migrations",
    ):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Error"):
                    first = node.args[0] if node.args else None
                    if isinstance(first, ast.Constant) and CODE.fullmatch(str(first.value)):
                        codes.add(str(first.value))
    return codes


def test_every_setting_has_its_heading() -> None:
    expected = {f"METERLINE_{name.upper()}" for name in Settings.model_fields}
    assert expected == set(re.findall(r"^### (METERLINE_\w+)$", OPERATIONS, re.MULTILINE))


def test_every_command_has_its_heading() -> None:
    expected = set(main.commands)
    assert expected == set(re.findall(r"^### meterline (\w+)$", OPERATIONS, re.MULTILINE))


def test_every_error_code_is_explained() -> None:
    explained = set(re.findall(r"^\| `(?!meterline_)(\w+)` \|", OPERATIONS, re.MULTILINE))
    assert raised_codes() | INDIRECT_CODES == explained


def test_every_metric_has_its_row_with_type_and_labels() -> None:
    row = r"^\| `(meterline_\w+)` \| (\w+) \|([^|]*)\|"
    expected = {(m.name, m.kind.value, ", ".join(m.labels)) for m in METRICS}
    found = re.findall(row, OPERATIONS, re.MULTILINE)
    assert expected == {(name, kind, labels.strip(" `")) for name, kind, labels in found}


def test_every_route_is_documented(services: Services) -> None:
    rules = {rule.rule for rule in create_app(services).url_map.iter_rules()}
    assert set() == {rule for rule in rules if f"{rule}`" not in OPERATIONS}


def test_every_metadata_key_is_documented() -> None:
    events = (ROOT / "docs/events.md").read_text()
    named = set(re.findall(r"`(?:metadata\.)?(\w+)`", events))
    snake = {re.sub(r"(?<=[a-z])([A-Z])", lambda m: f"_{m[1].lower()}", name) for name in named}
    assert set() == DEFAULT_KEYS - named - snake


def test_links_between_documents_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    broken = [
        (page.name, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert [] == broken
