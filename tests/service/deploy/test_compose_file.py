"""docker-compose.yml is what Compose takes, and keeps what it promises."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from gunicorn.config import Config

from cli.server import server_options
from ledger.settings import Settings
from meterline import __version__

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docker-compose.yml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = {name for name, service in SERVICES.items() if service.get("restart") != "no"}


MIB = {"m": 1, "g": 1024}


def mebibytes(size: str) -> int:
    return int(size[:-1]) * MIB[size[-1]]


def check(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            Path(sys.executable).parent / "check-jsonschema",
            *("--builtin-schema", "vendor.compose-spec"),
            file,
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_file_follows_the_schema_of_compose() -> None:
    done = check(FILE)
    assert 0 == done.returncode, done.stdout


def test_a_misspelt_key_is_found(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.json"
    broken = {**COMPOSE, "services": {**SERVICES, "api": {**SERVICES["api"], "imagee": "x"}}}
    wrong.write_text(json.dumps(broken))
    assert "imagee" in check(wrong).stdout


def test_all_parts_of_the_stack_are_there() -> None:
    expected = {
        *("nginx", "api", "worker", "exporter", "postgres", "influxdb", "grafana"),
        *("prometheus", "alertmanager"),
    }
    assert expected == LASTING


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_is_confined_limited_and_pinned(name: str) -> None:
    service = SERVICES[name]
    image, _, tag = str(service["image"]).partition(":")
    assert (True, ["ALL"], ["no-new-privileges:true"]) == (
        service.get("read_only"),
        service.get("cap_drop"),
        service.get("security_opt"),
    )
    assert not str(service["user"]).startswith(("0", "root"))
    assert {"cpus", "memory"} == set(service["deploy"]["resources"]["limits"])
    assert ("", "latest") != (image, tag)
    assert "" != tag


@pytest.mark.parametrize("name", sorted(LASTING))
def test_a_service_that_stays_tells_its_health(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


def test_only_nginx_is_reached_from_outside() -> None:
    assert {"nginx"} == {name for name, service in SERVICES.items() if "ports" in service}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_is_kept_in_memory_leaves_a_service_half_of_it_to_work_in(name: str) -> None:
    service = SERVICES[name]
    kept = sum(
        mebibytes(size)
        for place in service.get("tmpfs", [])
        for size in re.findall(r"size=(\d+[mg])", place)
    )
    assert 2 * kept <= mebibytes(service["deploy"]["resources"]["limits"]["memory"])


def test_the_memory_that_the_page_names_is_that_of_all_limits() -> None:
    limits = [SERVICES[name]["deploy"]["resources"]["limits"]["memory"] for name in LASTING]
    told = f"add up to {sum(map(mebibytes, limits)) / 1024:g} GiB"
    assert told in (ROOT / "docs/compose.md").read_text()


def test_what_ends_is_waited_for_or_is_started_by_its_name_alone() -> None:
    waited_for = {
        other
        for service in SERVICES.values()
        for other, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    by_name = {name for name, service in SERVICES.items() if "profiles" in service}
    assert set() == set(SERVICES) - LASTING - waited_for - by_name


def test_nginx_starts_again_with_the_services_whose_addresses_it_looked_up() -> None:
    config = (ROOT / "deploy/compose/nginx.conf").read_text()
    looked_up = set(re.findall(r"^\s*server ([a-z]+):\d+;", config, re.MULTILINE))
    again = {name for name, how in SERVICES["nginx"]["depends_on"].items() if how["restart"]}
    assert ({"api", "grafana"}, looked_up) == (looked_up, again)


def test_requests_that_are_under_way_are_answered_before_the_api_is_killed() -> None:
    grace = int(SERVICES["api"]["stop_grace_period"].removesuffix("s"))
    config = Config()
    for name, value in server_options("127.0.0.1", 0, workers=1).items():
        config.set(name, value)
    assert grace > config.graceful_timeout


def test_the_image_has_the_one_version() -> None:
    expected = f"meterline:${{METERLINE_VERSION:-{__version__}}}"
    assert {expected} == {one["image"] for one in SERVICES.values() if "build" in one}


def test_every_mounted_file_is_in_this_repository() -> None:
    mounted = [
        source
        for service in SERVICES.values()
        for source in (volume.split(":")[0] for volume in service.get("volumes", []))
        if source.startswith("./")
    ]
    assert [] == [source for source in mounted if not (ROOT / source).exists()]


def test_every_secret_is_one_that_the_script_makes(tmp_path: Path) -> None:
    subprocess.run([ROOT / "deploy/compose/make-secrets", tmp_path], check=True)
    made = {path.name for path in tmp_path.iterdir()}
    named = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert set() == named - made


def test_secrets_that_are_there_are_kept(tmp_path: Path) -> None:
    script = ROOT / "deploy/compose/make-secrets"
    subprocess.run([script, tmp_path], check=True)
    first = {path.name: path.read_text() for path in tmp_path.iterdir()}
    subprocess.run([script, tmp_path], check=True)
    assert first == {path.name: path.read_text() for path in tmp_path.iterdir()}


def test_no_secret_is_in_the_environment() -> None:
    ours = {
        f"METERLINE_{name.upper()}"
        for name, field in Settings.model_fields.items()
        if "SecretStr" in str(field.annotation)
    }
    told = [
        name
        for service in SERVICES.values()
        for name in service.get("environment", {})
        if name in ours or re.search(r"(PASSWORD|TOKEN|SECRET(_KEY)?)$", name)
    ]
    assert [] == told
