"""What a program finds installed: an interpreter with its flags, modules, folders to read."""

from __future__ import annotations

from dataclasses import dataclass

# Not -I: it would ignore PYTHONHASHSEED, and sets would then print in another order every run.
FLAGS = ("-s", "-P", "-S", "-B")


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of things that every run of it finds."""

    name: str
    flags: tuple[str, ...] = FLAGS
    """Flags of the interpreter."""
    preload: tuple[str, ...] = ()
    """Modules that a warm interpreter has imported before its first run; no verdict depends on
    them, only the time of a run does: each costs every fork its memory."""
    binds: tuple[tuple[str, str], ...] = ()
    """More of the machine that programs may read: (path here, path inside)."""
    paths: tuple[str, ...] = ()
    """Folders inside to import packages from."""


BARE = Profile(
    "bare",
    preload=(
        "collections", "copy", "functools", "heapq", "itertools", "math", "operator", "random",
        "re", "string", "typing",
    ),
)  # fmt: skip
"""The standard library alone. What most generated programs import is there already."""
