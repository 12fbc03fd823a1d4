"""How somebody else builds a dataset again: the command, and the recipe without our own paths."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from gristmill.formats.recipe_files import FOLDERS
from gristmill.publishing import changelog, environment, facts
from gristmill.publishing.charts import number
from gristmill.publishing.escape import code_span, line
from gristmill.publishing.files import RunFiles

FILES = ("path", "model", "against", "apis", "listing", "command")
"""Parameters of a recipe that may name a file or a folder."""
MOST_FILES = 8
"""Files of seeds that are named."""


def section(run: RunFiles) -> Iterator[str]:
    """Yield the card's lines: the command, the seeds, and what lies beside the card for it."""
    yield f"```\n{command(run)}\n```\n"
    files, digest = facts.seed_files(run)
    if digest:
        few = ", ".join(code_span(name, 100) for name in files[:MOST_FILES])
        more = f" and {number(len(files) - MOST_FILES)} more" if len(files) > MOST_FILES else ""
        yield (
            f"The seeds were read from {few}{more}, with the digest `{digest}`; "
            "`build-dataset check` with `--json` shows the digest of your copy.\n"
        )
    lock = ""
    if (run.path / "dataset" / environment.FILE).exists():
        last = " when it last took rows" if changelog.versions(run) else ""
        lock = f", and `{environment.FILE}`, the lock of all packages{last}"
    yield (
        f"`recipe.yaml` lies beside this card (seed {run.recipe.get('seed')}, fingerprint "
        f"`{str(run.note.get('fingerprint', ''))[:12]}`){lock}. The same recipe, seeds and answers "
        "give the same rows; a model asked anew may answer otherwise."
    )


def command(run: RunFiles, recipe: str = "recipe.yaml") -> str:
    """Return the one command that builds the dataset again, from a copy of its seeds."""
    found = (run.recipe.get("seeds") or {}).get("path") or "rows"
    paths = [found] if isinstance(found, str) else list(found)
    words = ["build-dataset", "run", recipe]
    if not all(map(_is_anywhere, paths)):
        words += [word for path in paths for word in ("--input", _elsewhere(path))]
    is_foreign = any(role["outside"] for role in facts.roles(run))
    if is_foreign or any(use.partition(".")[0] not in FOLDERS for use in run.uses.values()):
        words.append("--allow-plugins")
    if changelog.versions(run):
        words.append("--grow")
    return line(shlex.join(words))


def portable(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe that says of a file of this machine only its name."""
    made: dict[str, Any] = _bare(recipe)
    if path := (made.get("seeds") or {}).get("path"):
        made["seeds"]["path"] = (
            _elsewhere(path) if isinstance(path, str) else [*map(_elsewhere, path)]
        )
    return made


def _bare(value: Any, name: str = "") -> Any:
    match value:
        case Mapping():
            return {key: _bare(inner, key) for key, inner in value.items()}
        case list():
            return [_bare(inner, name) for inner in value]
        case str() if name in FILES and PurePath(value).is_absolute():
            return _elsewhere(value)
    return value


def _elsewhere(path: str) -> str:
    return path if _is_anywhere(path) else f"YOUR_COPY_OF/{PurePath(path).name}"


def _is_anywhere(path: str) -> bool:
    """Say whether a path means the same on another machine."""
    return path == "stdlib" or path.startswith(("shipped:", "hub:")) or "://" in path
