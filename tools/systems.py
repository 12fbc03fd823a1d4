"""Write docs/systems.md: which publication stands behind which stage, and what tests hold it.

Usage: python tools/systems.py. A test fails when the page is not what this writes.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import groupby
from pathlib import Path

from gristmill.commands.systems import System, systems

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "systems.md"
HEAD = """# Systems

Every stage with the publication that it implements, where it differs, the recipes that use it and
the tests that hold it. `python tools/systems.py` writes this page from the docstrings and the
recipes; `build-dataset list systems` prints the same.

Two things hold for all: prompts are our own words, so they are as long as they are, whatever the
length of a publication's; and figures of trained models are no part of a stage.
"""


def page() -> str:
    """Return the page."""
    parts = [HEAD]
    for folder, found in groupby(systems(), lambda system: system.name.partition(".")[0]):
        parts += [f"## {folder.capitalize()}\n", *map(entry, found)]
    return "\n".join(parts)


def entry(system: System) -> str:
    """Return the entry of one stage."""
    folder, _, name = system.name.partition(".")
    lines = [f"### `{system.name}`\n", system.about + "\n"]
    if system.source:
        lines.append(f"- **Source:** {system.source}")
    if system.papers:
        links = [f"[{paper}](https://arxiv.org/abs/{paper})" for paper in system.papers]
        lines.append(f"- **arXiv:** {', '.join(links)}")
    if system.differs:
        lines.append(f"- **Differs:** {system.differs}")
    if system.recipes:
        lines.append(f"- **Recipes:** {', '.join(f'`{recipe}`' for recipe in system.recipes)}")
    if found := [f"[`{test}`](../{test})" for test in holding(folder, name)]:
        lines.append(f"- **Tests:** {', '.join(found)}")
    return "\n".join(lines) + "\n"


def holding(folder: str, name: str) -> list[str]:
    """Return the test files that import a stage: those of its folder, or if none does, others."""
    imported = re.compile(rf"(?m)^(?:from|import) gristmill\.{folder}\.{name}\b")
    found = [file for file, text in tests().items() if imported.search(text)]
    near = [file for file in found if file.startswith(f"tests/{folder}/")]
    return sorted(near or found, key=lambda file: (not file.endswith(f"/test_{name}.py"), file))


@cache
def tests() -> dict[str, str]:
    """Return every test file with what is in it."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return {file.relative_to(ROOT).as_posix(): file.read_text("utf-8") for file in files}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
