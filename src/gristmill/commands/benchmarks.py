"""benchmarks: the registry of the test sets that no row may repeat."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from gristmill.commands.screen import Screen
from gristmill.errors import InputError
from gristmill.formats.benchmarks import add, load, rows_of, verified
from gristmill.text.plurals import counted
from gristmill.text.same_code import is_evidence


def do_benchmarks(args: argparse.Namespace, screen: Screen) -> int:
    """Pin a set, or list the sets and whether their files are as they were pinned."""
    registry = args.workspace / ".gristmill" / "benchmarks.json"
    if args.action == "list":
        return _list(registry, screen)
    if not (args.name and args.path):
        raise InputError("benchmarks add: expected a name and a file, as in: add gsm8k test.jsonl")
    pin = add(registry, args.name, args.path, dict(args.maps), args.split, args.subset)
    programs = [row.solution for row in rows_of(registry, args.name) if row.is_code]
    n_found = sum(map(is_evidence, programs))
    if screen.json:
        screen.result(
            {"name": args.name, **asdict(pin), "programs": len(programs), "long": n_found}
        )
    screen.line(f"{args.name}: {counted(pin.rows)}, sha256 {pin.sha256[:12]}, in {registry}")
    if programs:
        n = counted(len(programs), "program")
        screen.line(f"long enough to be looked for: {n_found:,} of {n}")
    screen.hint(f"in a recipe: {{use: filters.contamination, benchmarks: [{args.name}]}}")
    return 0


def _list(registry: Path, screen: Screen) -> int:
    found = []
    for name, pin in sorted(load(registry).items()):
        try:
            verified(registry, name)
            state = "as pinned"
        except InputError as error:
            state = str(error)
        found.append({"name": name, **asdict(pin), "state": state})
    if screen.json:
        screen.result({"benchmarks": found})
        return 0
    if not found:
        screen.line(f"no benchmarks in {registry}")
        return 0
    screen.table(
        ["name", "rows", "sha256", "source", "state"],
        [(b["name"], b["rows"], b["sha256"][:12], b["source"], b["state"]) for b in found],
    )
    return 0
