"""The README's commands do what it says."""

import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"```(?:sh|csv)\n(.*?)```", README, re.DOTALL)


def run(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    binaries = Path(sys.executable).parent
    return subprocess.run(
        ["bash", "-euc", script],
        cwd=folder,
        env={"PATH": f"{binaries}:/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_commands_of_the_readme_print_what_it_shows(tmp_path: Path) -> None:
    _demo, _test, set_up, book, printed, *_ = BLOCKS
    commands = "\n".join(line for line in set_up.splitlines() if line.startswith("meterline"))
    finished = run(commands + "\n" + book, tmp_path)
    assert (0, True) == (finished.returncode, finished.stdout.endswith(printed))
