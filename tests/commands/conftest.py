"""A small recipe with its seeds in an empty folder, and the command line in this process."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import pytest

from gristmill.cli import main

RECIPE = r"""# Two answers for each seed, the six longest kept.
name: tiny
seed: 7
seeds: {path: seeds.jsonl}
engines:
  generator: {use: scripted, rules: [["(?s).*", 'So \g<0> {draw}']]}
stages:
  - use: filters.length
    min_chars: 17
  - use: generators.responses
    n: 2
  - use: selectors.longest
    k: 6
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    lines = [json.dumps({"instruction": f"Explain topic {i}."}) for i in range(20)]
    (tmp_path / "seeds.jsonl").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture
def call(capfd):
    def go(*argv: str) -> tuple[int, str, str]:
        code = main(argv)
        out, err = capfd.readouterr()
        return code, out, err

    return go


@pytest.fixture
def shown(monkeypatch) -> Callable[[int, Callable[[TextIO], None]], str]:
    """Give what returns all that somebody writes to a terminal of so many columns."""
    monkeypatch.setenv("LINES", "40")
    monkeypatch.setenv("TERM", "xterm")

    def go(width: int, write: Callable[[TextIO], None]) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        ours, theirs = os.openpty()
        with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
            write(terminal)
        found = b""
        with suppress(OSError):  # the other end is closed, and everything is read
            while chunk := os.read(ours, 100_000):
                found += chunk
        os.close(ours)
        return found.decode()

    return go
