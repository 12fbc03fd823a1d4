"""The lock beside a published dataset: Python, gristmill and every package below it, as they ran.

It is what `pip freeze` would say of gristmill alone, without paths of this machine, so that it
installs on another one; and `run` says where the machine that builds a dataset again differs.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from importlib import metadata
from pathlib import Path

from gristmill.publishing.escape import printable
from gristmill.storage.shards import write_text

FILE = "environment.txt"
OWN = "gristmill"
EXTRAS = frozenset({"cpu", "gpu", "languages"})
"""Of gristmill: what a run may need. What tests and tools need is no part of it."""
NEED = re.compile(r"(?P<name>[\w.-]+)\s*(\[(?P<extras>[^]]*)\])?")
EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
PIN = re.compile(r"(?P<name>[\w.-]{1,60})==(?P<version>[\w.+!-]{1,40})", re.ASCII)
OURS = ("source of gristmill", "python", OWN)
"""What is told in comments: pip installs none of it."""
TOLD = re.compile(rf"# (?P<name>{'|'.join(OURS)}) (?P<version>[\w.+!-]{{1,40}})", re.ASCII)
LINE = re.compile(rf"(#.*|{PIN.pattern})?", re.ASCII)
"""What a lock of ours has."""
MOST = 6
"""Differences that are named."""


def write(path: Path) -> None:
    """Write the lock of a run that ends in this process. Nobody can tell later what it ran with."""
    write_text(path / "dataset" / FILE, text(_here()))


def take(path: Path, run: Path) -> None:
    """Give a dataset that grows the lock of the run that it took rows from, or none."""
    lock = run / "dataset" / FILE
    if lock.exists():
        write_text(path / "dataset" / FILE, lock.read_text(encoding="utf-8"))
    else:
        (path / "dataset" / FILE).unlink(missing_ok=True)


def text(found: Mapping[str, str]) -> str:
    """Return the lock of these versions as a file of requirements."""
    noted = [name for name in found if name in OURS]
    pins = {name: version for name, version in sorted(found.items()) if name not in OURS}
    builds = [f"{name}=={version}" for name, version in pins.items() if "+" in version]
    return "\n".join(
        [
            "# What built this dataset; for another machine: pip install -r environment.txt",
            "# gristmill itself is no line for pip: install it from its source.",
            f"# {platform.system()} {platform.machine()}",
            *(f"# {name} {found[name]}" for name in noted),
            *(f"# {pin}: give pip the index of who built it (--extra-index-url)" for pin in builds),
            *(f"{name}=={version}" for name, version in pins.items()),
            "",
        ]
    )


def differences(recipe: str) -> Iterator[str]:
    """Yield a line where the lock beside a recipe is of another environment than this process."""
    path = Path(recipe).parent / FILE
    if not (Path(recipe).is_file() and path.is_file()):
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found = filter(None, (TOLD.fullmatch(line) or PIN.fullmatch(line) for line in lines))
    here = _here()
    other = [
        f"{at['name']} {at['version']} (here {here.get(at['name'], 'missing')})"
        for at in found
        if here.get(at["name"]) != at["version"]
    ]
    if other:
        more = f" and {len(other) - MOST} more" if len(other) > MOST else ""
        advice = (
            f"pip install -r {path} in a new environment makes them the same"
            if all(map(LINE.fullmatch, lines))
            else "not all of its lines pin a package: read it before pip does"
        )
        told = f"{', '.join(other[:MOST])}{more}; {advice}"
        yield printable(f"{path} says what built this dataset: {told}")


@lru_cache(maxsize=1)
def _here() -> dict[str, str]:
    """Return the versions of Python, of gristmill's source and of every package that it needs."""
    found = dict[str, str]()
    todo = [(OWN, EXTRAS)]
    seen = set(todo)
    while todo:
        name, extras = todo.pop()
        try:
            there = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # of another platform, or an extra left out
            continue
        found[_normal(name)] = there.version
        for need in there.requires or ():
            at, asked = NEED.match(need), EXTRA.search(need)
            if not at or (asked and asked[1] not in extras):
                continue
            given = frozenset(filter(None, re.split(r"[\s,]+", at["extras"] or "")))
            if (one := (_normal(at["name"]), given)) not in seen:
                seen.add(one)
                todo.append(one)
    return {"source of gristmill": _source(), "python": platform.python_version(), **found}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _source() -> str:
    """Name the code that runs: two checkouts may say the same version."""
    package, hashed = Path(__file__).parents[1], blake2b(digest_size=8)
    for path in sorted(package.rglob("*.py")):
        hashed.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return hashed.hexdigest()
