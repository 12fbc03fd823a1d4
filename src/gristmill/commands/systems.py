"""list systems: which publication stands behind which stage, read from docstrings and recipes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gristmill.formats.recipe_files import FOLDERS, shipped

PACKAGE = Path(__file__).parents[1]
SOURCE, DIFFERS = re.compile(r"Sources?:"), re.compile(r"Differs from [^:.]+:")
ARXIV = re.compile(r"\b\d{4}\.\d{4,5}\b")


@dataclass(frozen=True, slots=True)
class System:
    """One stage: what it does, after whom, what it does otherwise, and who uses it."""

    name: str
    about: str
    source: str
    """Where it is published; "" for what is nobody's method."""
    differs: str
    recipes: list[str]

    @property
    def papers(self) -> list[str]:
        """The arXiv ids in its source, each once."""
        return list(dict.fromkeys(ARXIV.findall(self.source)))


def systems() -> Iterator[System]:
    """Read every stage's file without importing it: some import much."""
    for folder in FOLDERS:
        for path in sorted((PACKAGE / folder).glob("[!_]*.py")):
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            name = f"{folder}.{path.stem}"
            source = DIFFERS.split(_part(text, SOURCE))[0].strip()
            yield System(name, text.partition("\n")[0], source, _part(text, DIFFERS), _users(name))


def _part(text: str, mark: re.Pattern[str]) -> str:
    """Return what follows a mark up to the end of its paragraph, on one line; "" without it."""
    _, *rest = mark.split(" ".join(text.replace("\n\n", "\0").split()), maxsplit=1)
    return rest[0].partition("\0")[0].strip() if rest else ""


def _users(name: str) -> list[str]:
    return [recipe for recipe, used in _used().items() if name in used]


@cache
def _used() -> dict[str, set[str]]:
    """Return the stages that each recipe names."""
    stage = re.compile(rf"use:\s*((?:{'|'.join(FOLDERS)})\.\w+)")
    texts = {name: path.read_text(encoding="utf-8") for name, path in shipped().items()}
    return {name: set(stage.findall(text)) for name, text in texts.items()}
