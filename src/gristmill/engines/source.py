"""The code that decides rows, by its hash: shards that other code finished are worked again.

No answer is in question: those are keyed by what was asked. Only the short cut over finished
shards trusts that a stage would do the same again, and a changed prompt or rule must not hide
behind it.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from gristmill.storage.ids import digest

PACKAGE = Path(__file__).parents[1]
APART = {"commands", "flows", "publishing", "recipes", "models"}
"""Folders that decide no row."""


def source_of(stages: Iterable[object]) -> str:
    """Name the package's code and, for stages from elsewhere, the files that define them."""
    files = {inspect.getsourcefile(type(stage)) for stage in stages}
    foreign = sorted(Path(file) for file in files if file and not _is_ours(Path(file)))
    return digest(_ours(), [hashlib.sha256(file.read_bytes()).hexdigest() for file in foreign])


def _is_ours(file: Path) -> bool:
    return file.resolve().is_relative_to(PACKAGE)


@cache
def _ours() -> str:
    """Hash the modules and the examples beside them: half a megabyte, some milliseconds."""
    whole = hashlib.sha256()
    for path in sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.jsonl")]):
        name = path.relative_to(PACKAGE)
        if name.parts[0] not in APART:
            whole.update(str(name).encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()
