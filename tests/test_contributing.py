"""CONTRIBUTING.md, followed literally: a method is one file, one test and one recipe, no more."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILE = re.compile(r"(?s)\bIn\s+`((?:src|tests)/[\w/.]+)`:\n\n```\w+\n(.*?)```")
RUN = """
import json, sys
from pathlib import Path
from gristmill import Recipe, run

Path("texts.jsonl").write_text(json.dumps({"text": "Boil the water and add salt."}))
sets = ["engines.generator={use: scripted, rules: [['### Text', 'How do I cook pasta?']]}"]
recipe = Recipe.load("backtranslation", sets, "texts.jsonl", {"output": "text"})
print(run(recipe).dataset["instruction"].to_pylist())
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A copy of the repository with the page's three files added."""
    copy: Path = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "tests/conftest.py", "tests/test_contract.py"):
        (copy / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    found = FILE.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert len(found) == 3
    for name, text in found:
        path = copy / name
        assert not path.exists()
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return copy


def python(copy: Path, *args: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, *args],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_new_method_passes_its_own_test_and_the_contract(copy) -> None:
    said = python(copy, "-m", "pytest", "-q", "-k", "backtranslation", "--timeout", "100")
    assert re.search(r"\b(1\d|[89]) passed", said), said


@pytest.mark.slow
def test_the_new_recipe_runs(copy) -> None:
    assert python(copy, "-c", RUN).splitlines()[-1] == "['How do I cook pasta?']"


@pytest.mark.slow
def test_the_pages_code_passes_the_linter(copy) -> None:
    files = ["src/gristmill/generators/backtranslation.py"]
    files += ["tests/generators/test_backtranslation.py"]
    python(copy, "-m", "ruff", "check", *files)
    python(copy, "-m", "ruff", "format", "--check", *files)
