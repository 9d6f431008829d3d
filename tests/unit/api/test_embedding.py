"""Keys, tokens and addresses of panels, without a Grafana."""

import configparser
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import jwt
import pytest

from api.embedding import assertion
from api.embedding.frames import Span, board_url, build_frames
from api.embedding.keys import PRIVATE_FILE, PUBLIC_FILE, Keys, rotate_keys
from grafana.dashboards.build import render
from grafana.dashboards.catalogue import BOARDS, PIPELINE, SYSTEM_USAGE, TENANT_USAGE
from ledger.errors import UnavailableError
from ledger.period import DateRange, day_start
from ledger.tenant import BEGINNING, Tenant, TenantId, TenantPeriod
from tests.builders import NOW
from tests.grafana_queries import span_of

DEPLOY = Path(__file__).parents[3] / "deploy"


def kids(folder: Path) -> list[str]:
    return [key["kid"] for key in json.loads((folder / PUBLIC_FILE).read_bytes())["keys"]]


def test_the_key_that_signs_was_public_one_rotation_before(tmp_path: Path) -> None:
    rotate_keys(tmp_path)
    for _ in range(3):
        read_by_grafana = kids(tmp_path)
        ring = rotate_keys(tmp_path)
        assert ring.current.kid in read_by_grafana


def test_the_key_that_signed_stays_public_for_one_rotation(tmp_path: Path) -> None:
    first = rotate_keys(tmp_path).current.kid
    rotate_keys(tmp_path)
    assert first in kids(tmp_path)
    rotate_keys(tmp_path)
    assert first not in kids(tmp_path)


def test_public_keys_have_nothing_private_and_private_ones_one_reader(tmp_path: Path) -> None:
    rotate_keys(tmp_path)
    rotate_keys(tmp_path)
    public = json.loads((tmp_path / PUBLIC_FILE).read_bytes())["keys"]
    assert [{"kty", "crv", "x", "y", "kid", "use", "alg"}] * 3 == [set(key) for key in public]
    assert (0o600, 0o644) == (
        stat.S_IMODE((tmp_path / PRIVATE_FILE).stat().st_mode),
        stat.S_IMODE((tmp_path / PUBLIC_FILE).stat().st_mode),
    )


def test_a_running_process_signs_by_the_new_key_after_a_rotation(tmp_path: Path) -> None:
    ring = rotate_keys(tmp_path)
    keys = Keys(tmp_path)
    before = keys.current().kid
    rotate_keys(tmp_path)
    assert [ring.current.kid, ring.next.kid] == [before, keys.current().kid]


@pytest.mark.parametrize(
    "content", [None, "", "[]", "{}", '{"current": {}, "next": {}}', '{"current": 1, "next": 2}']
)
def test_keys_that_are_not_there_are_told_with_what_to_do(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / PRIVATE_FILE).write_text(content)
    with pytest.raises(UnavailableError, match="meterline grafana keys rotate") as caught:
        Keys(tmp_path).current()
    assert "grafana_keys_missing" == caught.value.code


def test_a_file_that_is_none_of_ours_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / PRIVATE_FILE).write_text("somebody's")
    with pytest.raises(UnavailableError):
        rotate_keys(tmp_path)
    assert "somebody's" == (tmp_path / PRIVATE_FILE).read_text()


def test_secrets_of_keys_are_not_shown(tmp_path: Path) -> None:
    assert "PrivateKey" not in repr(rotate_keys(tmp_path))


def test_what_grafana_expects_of_a_token_is_what_ours_say(tmp_path: Path) -> None:
    settings = configparser.ConfigParser(inline_comment_prefixes=None)
    settings.read(DEPLOY / "grafana/grafana.ini")
    expected = settings["auth.jwt"]
    key = rotate_keys(tmp_path).current
    token = assertion.sign_assertion(key, "meterline.tenant.acme", now=NOW)
    claims = jwt.decode(token, options={"verify_signature": False})
    wanted = json.loads(expected["expect_claims"])
    assert {"iss", "aud"} == set(wanted)
    assert (wanted, "meterline.tenant.acme", assertion.HEADER, {"sub", "iat", "exp"}) == (
        {name: claims[name] for name in wanted},
        claims[expected["username_claim"]],
        expected["header_name"],
        set(claims) - set(wanted),
    )


def test_grafana_is_closed_but_for_tokens_and_the_admin() -> None:
    settings = configparser.ConfigParser()
    settings.read(DEPLOY / "grafana/grafana.ini")
    wanted = {
        "server": {"serve_from_sub_path": "true"},
        "security": {"allow_embedding": "true", "cookie_secure": "true"},
        "auth": {"disable_login_form": "true"},
        "auth.basic": {"enabled": "true"},
        "auth.anonymous": {"enabled": "false"},
        "auth.jwt": {
            "enabled": "true",
            "url_login": "false",
            "auto_sign_up": "false",
            "skip_org_role_sync": "true",
        },
        "users": {
            "allow_sign_up": "false",
            "allow_org_create": "false",
            "auto_assign_org_role": "Viewer",
            "viewers_can_edit": "false",
        },
        "explore": {"enabled": "false"},
        "snapshots": {"enabled": "false", "external_enabled": "false"},
        "live": {"max_connections": "0"},
    }
    found = {
        section: {name: settings[section][name] for name in names}
        for section, names in wanted.items()
    }
    assert wanted == found
    assert settings["server"]["root_url"].endswith("/grafana/")
    assert "password" not in " ".join(settings["security"])
    assert "role_attribute_path" not in settings["auth.jwt"]


def test_the_files_of_data_sources_have_the_uids_of_the_boards_and_no_secret() -> None:
    text = (DEPLOY / "grafana/provisioning/datasources/meterline.yaml").read_text()
    uids = {line.split()[1] for line in text.splitlines() if line.strip().startswith("uid:")}
    assert {"meterline-series", "meterline-metrics"} == uids
    assert "httpHeaderValue1: Token ${METERLINE_SERIES_KEY}" in text


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_a_panel_is_addressed_by_its_number_over_whole_days_of_a_zone() -> None:
    begin, end = datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)
    frames = build_frames(TENANT_USAGE, Span.between(begin, end, "Europe/Berlin"))
    url = urlsplit(frames[0].light)
    assert ("/grafana/d-solo/meterline-tenant-usage", len(TENANT_USAGE.panels)) == (
        url.path,
        len(frames),
    )
    assert {
        "panelId": "1",
        "from": str(int(begin.timestamp()) * 1000),
        "to": str(int((end - timedelta(seconds=1)).timestamp()) * 1000 + 999),
        "timezone": "Europe/Berlin",
        "theme": "light",
    } == query_of(frames[0].light)
    assert {**query_of(frames[0].light), "theme": "dark"} == query_of(frames[0].dark)


@pytest.mark.parametrize("days", [30, 90])
@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Chatham", "Africa/Cairo"]
)
@pytest.mark.parametrize("now", [NOW, datetime(2026, 3, 30, 0, 30, tzinfo=UTC)])
def test_what_a_page_asks_for_is_what_the_board_itself_would_show(
    zone: str, days: int, now: datetime
) -> None:
    tenant = Tenant(
        tenant_id=TenantId("acme"),
        name="Acme",
        periods=(TenantPeriod(valid_from=BEGINNING, plan="Pro", timezone=zone),),
    )
    dates = DateRange.last_days(days, now=now, zone=ZoneInfo(zone))
    span = Span.between(day_start(dates.start, tenant), day_start(dates.end, tenant), zone)
    board = render(TENANT_USAGE, timezone=zone)
    asked = TENANT_USAGE.last_days(days)
    expected = span_of(board, {}, now=now, span=(asked.start, asked.end))
    assert (expected.start, expected.end, board["timezone"]) == (
        int(span.start),
        int(span.end),
        span.timezone,
    )


def test_utc_goes_by_the_name_that_grafana_has_for_it() -> None:
    assert "utc" == Span.between(NOW, NOW + timedelta(days=1), "UTC").timezone


def test_no_address_of_a_panel_names_an_organisation() -> None:
    urls = [frame.light for board in BOARDS for frame in build_frames(board, None)]
    assert [] == [url for url in urls if "org" in url.lower()]


def test_the_board_of_all_tenants_is_shown_in_the_zone_that_holds_all_their_days() -> None:
    span = Span.last_days(SYSTEM_USAGE, 30)
    expected = SYSTEM_USAGE.last_days(30)
    assert {"from": expected.start, "to": expected.end, "timezone": SYSTEM_USAGE.timezone} == (
        query_of(board_url(SYSTEM_USAGE, span))
    )


def test_the_pipeline_is_shown_over_the_time_that_its_board_begins_with() -> None:
    assert "/grafana/d/meterline-pipeline" == board_url(PIPELINE, None)


def test_every_width_of_a_panel_has_its_rule_in_the_style_sheet() -> None:
    css = (Path(__file__).parents[3] / "api/static/page.css").read_text()
    widths = {panel.columns for board in BOARDS for panel in board.panels} - {24}
    assert set() == {width for width in widths if f".span-{width} {{ grid-column: span" not in css}
