"""What a reader types who comes from the README to the quick start and to a first call by the SDK.

The commands run as the pages have them, one after the other in one folder; ports are free ones.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import free_port

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
UNTIL_COSTED = """
for _ in $(seq 200); do
    meterline export --tenant acme > exported.csv
    grep -q support_ai exported.csv && break
    sleep 0.1
done
"""


def blocks(page: str) -> dict[str, list[str]]:
    """Return the commands, and what they print, by heading."""
    text = (ROOT / page).read_text()
    sections = re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return {
        heading: re.findall(r"```(?:sh|csv)\n(.*?)```", section, re.DOTALL)
        for heading, section in sections
    }


START = blocks("docs/quickstart.md")
FIRST_CALL = blocks("docs/sdk.md")["A first call"]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the commands print, each part ended by a line of equal signs."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "docs").symlink_to(ROOT / "docs")
    (set_up,), (book, _, map_columns) = START["A ledger of your own"], START["Book from a file"]
    (over_http,) = START["Book over HTTP"]
    collector, standins, call, export, _ = FIRST_CALL
    (key,) = [line for line in collector.splitlines() if "key create" in line]
    post = over_http[over_http.index("curl") :]
    script = [
        set_up.removeprefix(". .venv/bin/activate\n") + book,
        map_columns,
        over_http,
        post,
        key + "\n" + standins + call,
        UNTIL_COSTED + export,
    ]
    text = "\necho =====\n".join(script)
    ports = {"8000": str(free_port()), "9000": str(free_port())}
    text = re.sub(r"\b[89]000\b", lambda named: ports[named[0]], text)
    serve = f"meterline serve --workers 1 --port {ports['8000']} &"
    text = text.replace("meterline serve &", serve)
    finished = subprocess.run(
        ["bash", "-euc", "trap 'kill $(jobs -p)' EXIT\n" + text],
        cwd=folder,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert 0 == finished.returncode, finished.stderr
    return finished.stdout


def part(printed: str, number: int) -> str:
    return printed.split("=====\n")[number]


def test_what_is_booked_from_a_file_costs_what_the_quick_start_says(printed: str) -> None:
    _, shown, _ = START["Book from a file"]
    assert part(printed, 0).endswith(shown)


def test_a_csv_is_read_by_its_columns(printed: str) -> None:
    assert "stored" in part(printed, 1)


def test_an_event_sent_twice_over_http_is_a_duplicate(printed: str) -> None:
    statuses = [re.findall(r'"status": ?"(\w+)"', part(printed, number)) for number in (2, 3)]
    assert [["stored"], ["duplicate"]] == statuses


def test_a_first_call_is_delivered(printed: str) -> None:
    assert "See you on Tuesday at ten.\ndelivered: True\n" == part(printed, 4)


def test_a_first_call_costs_what_the_page_of_the_sdk_says(printed: str) -> None:
    *_, shown = FIRST_CALL
    (expected,) = re.findall(r"^\S+?,(ai,.*)$", shown, re.MULTILINE)
    found = re.findall(r"^\S+?,(ai,.*)$", part(printed, 5), re.MULTILINE)
    assert [expected] == found


def test_the_readme_names_targets_of_make() -> None:
    named = set(re.findall(r"^make (\w+)$", README, re.MULTILINE))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} == named & targets
