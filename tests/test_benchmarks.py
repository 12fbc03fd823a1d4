"""Benchmarks all take the same options and are all listed; what they measure is not tested here."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "telling")


def test_the_readme_lists_every_script_once() -> None:
    lines = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    listed = [line.split("`")[1] for line in lines if line.startswith("| `")]
    assert listed == [f"{name}.py" for name in SCRIPTS]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_can_be_quick_and_end_with_json(name: str) -> None:
    command = [sys.executable, str(FOLDER / f"{name}.py"), "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "--quick" in told
    assert "--json" in told
