"""Command lines to type next, so that they work when they are pasted."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

NAME = "build-dataset"
NOT_KEPT = ("--online", "--json", "--quiet")
"""Options that belong to the command that ran, not to the one after it."""


def program() -> str:
    """Return how this command was called, where its name alone would not be found."""
    called = Path(sys.argv[0])
    if shutil.which(NAME):
        return NAME
    if called.name == "__main__.py" and called.parent.name == "gristmill":
        return f"{shlex.quote(sys.executable)} -m gristmill"
    if called.name != NAME:
        return NAME
    near = os.path.relpath(called.absolute())
    return shlex.quote(near if not near.startswith("..") else str(called.absolute()))


def typed(command: str, *words: object) -> str:
    """Return a command with its words, as a shell takes them."""
    return f"{program()} {shlex.join([command, *map(str, words)])}"


def again(args: argparse.Namespace, command: str) -> str:
    """Return the command line that ran with the name of another command."""
    kept = list[str]()
    words = iter(args.argv[1:])
    for word in words:
        if word == "-n":
            next(words, None)
        elif not re.fullmatch(r"-n=?\d+", word) and not _is_own(word):
            kept.append(word)
    return typed(command, *kept)


def _is_own(word: str) -> bool:
    return len(word) > 2 and any(name.startswith(word) for name in NOT_KEPT)
