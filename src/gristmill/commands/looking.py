"""list, show and trace: what there is, read from files alone."""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import asdict
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gristmill.commands.finding import ended, find_run, ledger_of, runs
from gristmill.commands.screen import Screen
from gristmill.commands.systems import System, systems
from gristmill.errors import InputError
from gristmill.formats.recipe_files import FOLDERS, shipped
from gristmill.text.plurals import counted

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


def do_list(args: argparse.Namespace, screen: Screen) -> int:
    """List recipes, stages and runs."""
    found: dict[str, list[dict[str, Any]]] = {}
    if args.what in (None, "recipes"):
        found["recipes"] = list(_recipes())
    if args.what in (None, "stages"):
        found["stages"] = list(_stages())
    if args.what in (None, "runs"):
        found["runs"] = list(_runs(args.workspace))
    if args.what == "systems":
        found["systems"] = [_published(system) for system in systems() if system.source]
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
    for name, path in shipped().items():
        yield {"name": name, "about": _about(path.read_text(encoding="utf-8"))}


def _about(text: str) -> str:
    """Return the first sentence of the remarks that a recipe begins with."""
    head = takewhile(lambda line: line.startswith("#"), text.splitlines())
    return re.split(r"(?<=\.)\s", " ".join(line.lstrip("# ") for line in head), maxsplit=1)[0]


def _stages() -> Iterator[dict[str, Any]]:
    for system in systems():
        yield {"name": system.name, "about": system.about}


def _published(system: System) -> dict[str, Any]:
    papers = ", ".join(f"arXiv:{paper}" for paper in system.papers) or system.source
    recipes = ", ".join(system.recipes) or "none"
    return {
        **asdict(system),
        "papers": system.papers,
        "about": f"{papers}; recipes: {recipes}",
    }


def _runs(workspace: Path) -> Iterator[dict[str, Any]]:
    for run in runs(workspace):
        note = ledger_of(run)
        stop = None if note is None else note["stop"]
        about = counted(note["stages"][-1]["kept"]) if note else "not finished"
        about = ended(note) if note and stop == "error_rate" else about
        yield {"name": run.name, "about": about, "path": str(run), "stop": stop}


def do_show(args: argparse.Namespace, screen: Screen) -> int:
    """Show a recipe, a stage, a run or a row, whichever has that name."""
    name, path = args.name, Path(args.name)
    folder, _, stage = name.partition(".")
    if name in shipped() or (path.is_file() and path.suffix in (".yaml", ".yml")):
        path = shipped().get(name, path)
        text = path.read_text(encoding="utf-8")
        screen.result({"path": str(path), "text": text}) if args.json else screen.line(text)
    elif folder in FOLDERS and stage:
        _show_stage(folder, stage, screen)
    elif path.is_dir() or name == "last" or any(r.name == name for r in runs(args.workspace)):
        from gristmill.commands.status import do_status

        args.run, args.watch = name, False
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
    names = [line["name"] for line in (*_recipes(), *_stages())]
    near = [n for n in names if n.endswith(f".{row_id}")] or get_close_matches(row_id, names)
    hint = f"did you mean {near}?" if near else "see `build-dataset list`"
    raise InputError(
        f"'{row_id}' is no recipe, no stage, no run and no row's id in {workspace / 'runs'}; {hint}"
    )


def do_trace(args: argparse.Namespace, screen: Screen) -> int:
    """Walk from a row back to its seed; prompts are made again where all calls are shown."""
    from gristmill.publishing.trace import page, render, trace
    from gristmill.storage.shards import write_text

    run = find_run(args.run, args.workspace)
    found = trace(run, args.row)
    if args.calls or args.json or args.page:
        from gristmill.commands.prompts import with_prompts

        found = with_prompts(run, found, allow_plugins=args.allow_plugins)
    if args.page:
        write_text(args.page, page(found))
    if args.json:
        screen.result(found.as_dict())
    else:
        screen.line(str(args.page) if args.page else render(found, whole=args.calls))
    return 0
