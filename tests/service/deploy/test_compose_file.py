"""docker-compose.yml is what Compose takes, and keeps what it promises."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ledger.settings import Settings

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docker-compose.yml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = {name for name, service in SERVICES.items() if service.get("restart") != "no"}


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


def test_starting_the_stack_again_rotates_no_keys_that_grafana_has_read() -> None:
    # What ended is started again by every `up`.
    assert ["grafana", "keys", "rotate", "--first"] == SERVICES["grafana-keys"]["command"]


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
