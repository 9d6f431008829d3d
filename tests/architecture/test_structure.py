import ast
import importlib
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ledger import distribution, walls
from ledger.models import ONLY_ON, metadata

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
SERVER = sorted(set(PACKAGES) - {"tests", "bench"})
SDK = ROOT / "sdk/src/meterline"
SOURCES = sorted(
    path
    for folder in (*(ROOT / package for package in (*SERVER, "bench")), SDK)
    for path in folder.rglob("*.py")
)
SERVER_TABLES = sorted(t.name for t in metadata.sorted_tables if ONLY_ON not in t.info)
LAYERS = [
    {"cli", "migrations"},
    {"api", "grafana"},
    {"collector", "costing", "exporter"},
    {"ledger"},
]


def header(package: str) -> dict[str, str]:
    text = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text())) or ""
    return dict(re.findall(r"^(Owns|May import|Never touches): (.+)\.$", text, re.MULTILINE))


def below(package: str) -> set[str]:
    """Return what the layers let a package import; migrations need the ledger's types alone."""
    place = next(n for n, layer in enumerate(LAYERS) if package in layer)
    return set().union(*LAYERS[place + 1 :]) if package != "migrations" else {"ledger"}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_every_package_is_under_the_import_contracts() -> None:
    assert SERVER == sorted(PROJECT["tool"]["importlinter"]["root_packages"])


def test_every_package_is_in_the_distribution() -> None:
    built = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert SERVER == sorted(built)


@pytest.mark.parametrize("package", SERVER)
def test_a_package_opens_with_what_it_owns_may_import_and_never_touches(package: str) -> None:
    assert ["May import", "Never touches", "Owns"] == sorted(header(package))


@pytest.mark.parametrize("package", SERVER)
def test_the_header_of_a_package_says_what_the_contracts_say(package: str) -> None:
    said = {name for name in re.findall(r"\w+", header(package)["May import"]) if name != "nobody"}
    assert below(package) == said


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_imported_from_this_checkout(package: str) -> None:
    # Plain folder names could be shadowed by somebody else's distribution.
    file = importlib.import_module(package).__file__
    assert file is not None
    assert ROOT == Path(file).parents[1]


def test_the_sdk_needs_nothing_that_it_does_not_bring() -> None:
    lacking = {
        (path.name, name)
        for path in SDK.rglob("*.py")
        for name in imported(path) - {"meterline", "__future__"} - sys.stdlib_module_names
    }
    # An extension of Flask is imported where Flask is; the hooks find what their clients brought.
    assert set() == {(file, name) for file, name in lacking if file != "flask_extension.py"}


def test_migrations_import_nothing_that_the_contracts_cannot_see() -> None:
    found = set().union(*(imported(path) for path in (ROOT / "migrations/versions").glob("*.py")))
    assert set() == found & (set(SERVER) - {"ledger", "migrations"})


def test_modules_stay_under_300_lines() -> None:
    long = [path for path in SOURCES if len(path.read_text().splitlines()) > 300]
    # A migration is one step of history and is not read in parts.
    assert [ROOT / "migrations/versions/0002_sp7.py"] == long


def test_functions_stay_under_50_lines() -> None:
    long = [
        f"{path.name}:{node.name}"
        for path in SOURCES
        if "migrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 50
    ]
    assert [] == long


def test_nothing_is_called_after_nothing() -> None:
    empty = {"utils", "util", "helpers", "common", "base", "misc"}
    assert [] == [path for path in SOURCES if path.stem in empty]


def keys_of(table: sa.Table) -> list[list[str]]:
    unique: list[sa.PrimaryKeyConstraint | sa.UniqueConstraint | sa.Index] = [
        table.primary_key,
        *(key for key in table.constraints if isinstance(key, sa.UniqueConstraint)),
        *(index for index in table.indexes if index.unique),
    ]
    return [[column.name for column in key.columns] for key in unique]


def test_the_body_of_a_problem_is_described_in_one_place() -> None:
    described = "Problem.model_json_schema()"
    found = [path.relative_to(ROOT) for path in SOURCES if described in path.read_text()]
    assert [Path("api/errors.py")] == found


def test_every_growing_table_has_the_tenant_in_every_key() -> None:
    lacking = [
        (table.name, key)
        for table in metadata.tables.values()
        if table.name in distribution.BY_TENANT
        for key in keys_of(table)
        if "tenant_id" not in key
    ]
    assert [] == lacking


def test_every_table_has_its_place_in_a_cluster() -> None:
    places = (distribution.BY_TENANT, distribution.ON_EVERY_NODE, distribution.ON_ONE_NODE)
    named = [name for place in places for name in place]
    assert SERVER_TABLES == sorted(named)


def test_every_table_says_what_a_tenants_transaction_may_do_with_it() -> None:
    assert SERVER_TABLES == sorted([*walls.TENANT_MAY, *walls.TENANT_MAY_NOT])


def test_rows_of_tenants_are_distributed_or_small() -> None:
    # Few rows a tenant. The cross-tenant grid joins the first two on every node.
    small = {"tenants", "tenant_periods", "grafana_orgs"}
    of_tenants = {
        table.name
        for table in metadata.sorted_tables
        if "tenant_id" in table.c and not table.c.tenant_id.nullable
    }
    assert set(distribution.BY_TENANT) == of_tenants - small


def test_lock_files_name_no_host() -> None:
    locks = [path.read_text() for path in (ROOT / "requirements").glob("*.lock")]
    assert {True} == {"://" not in text and "--hash=sha256:" in text for text in locks}


def test_settings_are_read_by_the_composition_root_alone() -> None:
    readers = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if re.search(r"\bload_settings\(|os\.environ|os\.getenv", path.read_text())
    ]
    assert ["cli/wiring.py", "ledger/settings.py"] == sorted(readers)
