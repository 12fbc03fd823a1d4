"""Several files in one reply: a heading with the name of each, then a fenced block."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from gristmill.text.fences import fenced, fences

NAME = re.compile(r"(?:[A-Za-z0-9_][\w-]*/)*[A-Za-z0-9_][\w-]*(?:\.\w+)+")
"""A file inside the folder: no absolute path, no way up, nothing hidden."""
HEADING = re.compile(r"(?m)^#{2,4}[ \t]+(?:[Ff]ile:?[ \t]+)?[`*]*([^\s`*]+)[`*]*[ \t]*$")
IS_TEST = re.compile(r"(?:^|/)test_[^/]*\.py$|_test\.py$")


def files_in(reply: str) -> dict[str, str] | None:
    """Return the files of a reply; None without any, and where one has no name or no end."""
    parts = HEADING.split(reply)
    found: dict[str, str] = {}
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        blocks = fences(text)
        if not NAME.fullmatch(name) or blocks is None or len(blocks) != 1 or name in found:
            return None
        found[name] = blocks[0].text + "\n"
    return found or None


def written(files: Mapping[str, str]) -> str:
    """Return files as a reply has them."""
    kinds = {name: "python" if name.endswith(".py") else "" for name in files}
    return "\n\n".join(
        f"### {name}\n{fenced(text.rstrip(), kinds[name])}" for name, text in files.items()
    )


def tests_among(names: Iterable[str]) -> list[str]:
    """Return the names of files with tests."""
    return [name for name in names if IS_TEST.search(name)]


def modules_of(names: Iterable[str]) -> list[str]:
    """Return the names under which Python files of a folder are imported."""
    stems = (name.removesuffix(".py") for name in names if name.endswith(".py"))
    return [stem.replace("/", ".").removesuffix(".__init__") for stem in stems]
