"""list, show, status and trace: what there is, read from files alone."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import json
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gristmill.commands.again import typed
from gristmill.commands.finding import LOCK, find_run, ledger_of, runs
from gristmill.commands.rows import left_out
from gristmill.commands.screen import Screen
from gristmill.errors import InputError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

FOLDERS = ("generators", "filters", "verifiers", "scorers", "selectors")
COUNTS = ("in", "entered_ok", "rejected", "failed", "made", "rejected_children", "kept")


def do_list(args: argparse.Namespace, screen: Screen) -> int:
    """List recipes, stages and runs."""
    found: dict[str, list[dict[str, Any]]] = {}
    if args.what in (None, "recipes"):
        found["recipes"] = list(_recipes())
    if args.what in (None, "stages"):
        found["stages"] = list(_stages())
    if args.what in (None, "runs"):
        found["runs"] = list(_runs(args.workspace))
    if args.json:
        screen.result(found)
        return 0
    for what, lines in found.items():
        screen.line(f"{what}:" if lines else f"{what}: none")
        width = max((len(line["name"]) for line in lines), default=0)
        for line in lines:
            screen.line(f"  {line['name']:{width}}  {line['about']}".rstrip())
    return 0


def _recipes() -> Iterator[dict[str, Any]]:
    from gristmill.pipelines.recipe import shipped

    for name, path in shipped().items():
        head = path.read_text(encoding="utf-8").partition("\n")[0]
        yield {"name": name, "about": head.lstrip("# ") if head.startswith("#") else ""}


def _stages() -> Iterator[dict[str, Any]]:
    """Read the files without importing them: some import much."""
    for folder in FOLDERS:
        for path in sorted((Path(__file__).parents[1] / folder).glob("[!_]*.py")):
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            yield {"name": f"{folder}.{path.stem}", "about": text.partition("\n")[0]}


def _runs(workspace: Path) -> Iterator[dict[str, Any]]:
    for run in runs(workspace):
        note = ledger_of(run)
        about = "not finished" if note is None else f"{note['stages'][-1]['kept']:,} rows"
        stop = None if note is None else note["stop"]
        yield {"name": run.name, "about": about, "path": str(run), "stop": stop}


def do_show(args: argparse.Namespace, screen: Screen) -> int:
    """Show a recipe, a stage, a run or a row, whichever has that name."""
    from gristmill.pipelines.recipe import shipped

    name, path = args.name, Path(args.name)
    folder, _, stage = name.partition(".")
    if name in shipped() or (path.is_file() and path.suffix in (".yaml", ".yml")):
        path = shipped().get(name, path)
        text = path.read_text(encoding="utf-8")
        screen.result({"path": str(path), "text": text}) if args.json else screen.line(text)
    elif folder in FOLDERS and stage:
        _show_stage(folder, stage, screen)
    elif path.is_dir() or name == "last" or any(r.name == name for r in runs(args.workspace)):
        args.run = name
        return do_status(args, screen)
    else:
        _show_row(name, args.workspace, screen)
    return 0


def _show_stage(folder: str, name: str, screen: Screen) -> None:
    from gristmill.pipelines.stage import Stage

    known = [line["name"] for line in _stages()]
    if f"{folder}.{name}" not in known:
        near = get_close_matches(f"{folder}.{name}", known) or known
        raise InputError(f"no stage '{folder}.{name}'; did you mean {near}?")
    module = importlib.import_module(f"gristmill.{folder}.{name}")
    classes = [c for _, c in inspect.getmembers(module, inspect.isclass) if issubclass(c, Stage)]
    cls = next(c for c in classes if c.__module__ == module.__name__)
    fields = [_parameter(key, field) for key, field in cls.model_fields.items()]
    text, about, codes = inspect.getdoc(module), inspect.getdoc(cls), sorted(cls.codes)
    if screen.json:
        names = ("parameter", "type", "default")
        told = [dict(zip(names, field, strict=True)) for field in fields]
        screen.result(
            {"name": f"{folder}.{name}", "text": text, "parameters": told, "codes": codes}
        )
        return
    screen.line(f"{folder}.{name}\n\n{text}\n\n{about}\n")
    screen.table(["parameter", "type", "default"], fields)
    screen.line(f"reject codes: {', '.join(codes) or 'none'}")


def _parameter(name: str, field: FieldInfo) -> tuple[str, str, Any]:
    kind = getattr(field.annotation, "__name__", None)
    kind = str(field.annotation) if kind is None or "[" in str(field.annotation) else kind
    default = field.get_default(call_default_factory=True)
    return name, kind, "required" if field.is_required() else default


def _show_row(row_id: str, workspace: Path, screen: Screen) -> None:
    from gristmill.publishing.trace import render, trace

    for run in runs(workspace):
        try:
            found = trace(run, row_id)
        except InputError:
            continue
        screen.result(found.as_dict()) if screen.json else screen.line(render(found))
        return
    raise InputError(
        f"'{row_id}' is no recipe, no stage, no run and no row's id in {workspace / 'runs'}; "
        "see `build-dataset list`"
    )


def do_status(args: argparse.Namespace, screen: Screen) -> int:
    """Show how far a run is, and its ledger so far."""
    run = find_run(args.run, args.workspace)
    note = ledger_of(run)
    lines = note["stages"] if note else _so_far(run)
    given = (note or {}).get("input") or {}
    seeds = {name: given[name] for name in ("rows", "malformed") if name in given}
    state = f"finished: {note['stop']}" if note else _alive(args.workspace)
    if args.json:
        screen.result({"run_dir": str(run), "state": state, "seeds": seeds, "stages": lines})
        return 0
    screen.line(f"{run}: {state}")
    for told in left_out(run, given):
        screen.line(told)
    screen.table(
        ["stage", *COUNTS], [[line["stage"], *(line[n] for n in COUNTS)] for line in lines]
    )
    for line in lines:
        for code, n in sorted(line["codes"].items(), key=lambda item: -item[1]):
            screen.line(f"  {n:8,} rejected by {line['stage']}: {code}")
    if note is None:
        screen.hint(f"next: {typed('run', *_where(args), run / LOCK)} goes on with it")
    return 0


def _where(args: argparse.Namespace) -> list[str]:
    return [] if args.workspace == Path() else ["--workspace", str(args.workspace)]


def _alive(workspace: Path) -> str:
    from gristmill.errors import RunLocked
    from gristmill.storage.shards import lock

    try:
        lock(workspace / ".gristmill" / "lock").close()
    except RunLocked:
        return "not finished; a run holds the workspace"
    return "not finished; nothing runs here"


def _so_far(run: Path) -> list[dict[str, Any]]:
    """Add up the footers of the finished shards."""
    import pyarrow.parquet as pq

    total: dict[str, Counter[str]] = {}
    for folder in sorted((run / "shards").glob("*")):
        for path in _counted(
            sorted(folder.glob("*.parquet"), key=lambda path: path.stat().st_size)
        ):
            counts = json.loads(pq.read_metadata(path).metadata[b"gristmill"])["counts"]
            for label, numbers in counts.items():
                total.setdefault(label, Counter()).update(numbers)
    return [
        {
            "stage": label,
            **{name: numbers[name] for name in COUNTS},
            "codes": {k[5:]: n for k, n in numbers.items() if k.startswith("code:")},
        }
        for label, numbers in total.items()
    ]


def _counted(files: list[Path]) -> list[Path]:
    """Return the files of a unit to count: a table stage wrote all rows again for every wave."""
    import pyarrow.parquet as pq

    if len(files) < 2:
        return files
    small, large = (pq.read_table(files[i], columns=["id"])["id"].to_pylist() for i in (0, -1))
    return files if set(small).isdisjoint(large) else files[-1:]


def do_trace(args: argparse.Namespace, screen: Screen) -> int:
    """Walk from a row back to its seed."""
    from gristmill.publishing.trace import render, trace

    found = trace(find_run(args.run, args.workspace), args.row)
    screen.result(found.as_dict()) if args.json else screen.line(render(found))
    return 0
