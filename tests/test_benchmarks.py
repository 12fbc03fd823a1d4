"""Benchmarks all take the same options and are all listed; what they measure is not tested here."""

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gristmill import selectors

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "telling")


def test_the_readme_lists_every_script_once() -> None:
    lines = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    listed = [line.split("`")[1] for line in lines if line.startswith("| `")]
    assert listed == [f"{name}.py" for name in SCRIPTS]


def test_every_selector_has_a_line_of_the_proof_or_a_reason_why_not() -> None:
    found = yaml.safe_load((FOLDER / "selection_pays.yaml").read_text(encoding="utf-8"))
    used = {stages[-1]["use"].removeprefix("selectors.") for stages in found["ways"].values()}
    every = {module.name for module in pkgutil.iter_modules(selectors.__path__)}
    assert not used & found["left_out"].keys()
    assert used | found["left_out"].keys() == every
    text = " ".join((FOLDER / "README.md").read_text(encoding="utf-8").split())
    for name, reason in found["left_out"].items():
        assert f"`{name}` {reason}" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_can_be_quick_and_end_with_json(name: str) -> None:
    command = [sys.executable, str(FOLDER / f"{name}.py"), "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "--quick" in told
    assert "--json" in told
