"""Environments to act in by commands: a folder of files under Bash, tables under SQL.

Each is the first cell of an interactive session; every command is a cell after it, and a last one
tells what the commands changed. Every session builds it anew.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from gristmill.engines.sandbox.program import MAX_CELL_CHARS, Program, Verdict
from gristmill.text.commands import Ended
from gristmill.text.interpreter_steps import observed

FILES = """import hashlib, json, os, subprocess
os.mkdir("/box/work")
os.chdir("/box/work")
for _name, _text in {files!r}.items():
    if not os.path.abspath(_name).startswith("/box/work/"):
        raise ValueError("a file outside the folder: " + _name)
    os.makedirs(os.path.dirname(_name) or ".", exist_ok=True)
    with open(_name, "w", encoding="utf-8", newline="") as _file:
        _file.write(_text)

def entry(path):
    kind = os.lstat(path)
    if os.path.islink(path):
        return "link " + os.readlink(path)
    if os.path.isfile(path) and os.access(path, os.R_OK):
        with open(path, "rb") as file:
            return "%o %s" % (kind.st_mode, hashlib.file_digest(file, "blake2b").hexdigest()[:32])
    return "%o" % kind.st_mode

def tree():
    walked = os.walk("/box/work")
    return {{path: entry(path) for top, *inner in walked for names in inner for name in names
             for path in [os.path.join(top, name)]}}

def act(command):
    script = "trap 'pwd -P > /tmp/there' EXIT\\n" + command
    done = subprocess.run(["bash", "--noprofile", "--norc", "-c", script],
                          stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    if os.path.isfile("/tmp/there"):
        with open("/tmp/there", encoding="utf-8", errors="surrogateescape") as file:
            there = file.read().removesuffix("\\n")
        if os.path.isdir(there):
            os.chdir(there)
    return done.returncode or None

"""
TABLES = """import hashlib, json, sqlite3
tables = sqlite3.connect(":memory:", isolation_level=None)
tables.executescript({script!r})

def shown(value):
    if isinstance(value, bytes):
        return "x'" + value.hex() + "'"
    return float("%.12g" % value) if isinstance(value, float) else value

def tree():
    found = {{}}
    for name, text in tables.execute("SELECT name, sql FROM sqlite_master").fetchall():
        found[name] = str(text)
        if str(text).upper().startswith("CREATE TABLE"):
            rows = tables.execute('SELECT * FROM "%s"' % name.replace('"', '""')).fetchall()
            said = repr(sorted(map(repr, rows))).encode("utf-8", "backslashreplace")
            found[name] += hashlib.blake2b(said).hexdigest()[:32]
    return found

def act(command):
    try:
        for row in tables.execute(command):
            print(json.dumps(list(map(shown, row)), ensure_ascii=False))
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        print("%s: %s" % (type(error).__name__, error))
        return 2
"""
RESET = "first = tree()"
CHANGED = """last = tree()
names = sorted(name for name in {*first, *last} if first.get(name) != last.get(name))
print(json.dumps({name: last.get(name, "gone") for name in names}))"""


def folder(files: Mapping[str, str]) -> str:
    """Return the cell that makes a folder of files and stays in it."""
    return FILES.format(files=dict(files)) + RESET


def tables(script: str) -> str:
    """Return the cell that makes tables by an SQL script."""
    return TABLES.format(script=script) + RESET


def acting(command: str) -> str:
    """Return the cell of a command."""
    return f"act({command!r})"


def session(cells: Iterable[str], timeout_s: float, attempt: int = 0) -> Program:
    """Return the program of a session: a first cell, commands, and what they changed."""
    cells = (*cells, CHANGED)
    whole_s = timeout_s * len(cells) * 2
    return Program("", cells=cells, cell_timeout_s=timeout_s, timeout_s=whole_s, attempt=attempt)


def ended(verdict: Verdict) -> Ended | None:
    """Return what a session came to; None where its first or last cell did not end well."""
    cells = verdict.cells
    if len(cells) < 2 or {cells[0]["status"], cells[-1]["status"]} != {"pass"}:
        return None
    try:
        changes: Any = json.loads(cells[-1]["stdout"])
    except (ValueError, RecursionError):
        return None
    if not isinstance(changes, dict):
        return None
    output = cells[-2]["stdout"] if len(cells) > 2 else ""
    return Ended(output, {str(name): str(now) for name, now in changes.items()})


async def reference(
    run: Callable[[Program], Awaitable[Verdict]], first: str, command: str, timeout_s: float
) -> Ended | tuple[str, str]:
    """Return how the right command ends, the same in two runs; else what is wrong, and why."""
    cells = (first, acting(command))
    if (n := sum(map(len, cells))) > MAX_CELL_CHARS // 2:
        return "bad_environment", f"{n} characters"
    one, other = [await run(session(cells, timeout_s, attempt)) for attempt in range(2)]
    if not one.cells or one.cells[0]["status"] != "pass":
        return "bad_environment", f"{one.status}: {one.detail} {one.cells[:1]}"
    shown, found = one.cells[1], ended(one)
    # Bash tools such as `grep` and `diff` end with 1 where they find nothing, or a difference.
    if shown["status"] != "pass" or shown["value"] not in (None, "1"):
        return "bad_command", told(shown)
    if found is None or found != ended(other):
        return "unstable", f"{found}, then {ended(other)}"
    if not found.changes and not found.output.strip():
        return "bad_command", "it prints nothing and changes nothing"
    return found


def told(cell: Mapping[str, Any]) -> str:
    """Return what a command shows, with its exit code if that is not 0."""
    code = cell["value"] and f"(exit code {cell['value']})"
    return observed({**cell, "value": code})
