"""report, publish, init and schedule: what comes before and after a run."""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict
from typing import Any

from gristmill.commands.again import typed
from gristmill.commands.building import order_of, writable
from gristmill.commands.finding import find_finished
from gristmill.commands.screen import Screen
from gristmill.errors import InputError, RequirementError
from gristmill.text.plurals import counted

HEAD = """\
# {name}: started from the shipped recipe '{origin}'.
#
#   build-dataset check {file} --input YOUR_FILE    what it would do, in a second
#   build-dataset preview {file} --input YOUR_FILE  ten rows, before the full spend
#   build-dataset run {file} --input YOUR_FILE
#
# `build-dataset list stages` names what can stand under stages, `build-dataset show NAME` its
# parameters. Any value can be changed for one run: --set stages.-1.k=500

"""


def do_report(args: argparse.Namespace, screen: Screen) -> int:
    """Write the report and the card of a run again; one without a dataset gets no card."""
    from gristmill.commands.comparing import compared
    from gristmill.publishing import card, croissant, report, trainee

    run = find_finished(args.run, args.workspace)
    against = compared(args.against, run, args.workspace) if args.against else None
    files = croissant.opened(run)
    if args.for_tokenizer:
        trainee.measure(files, tokenizer(args.for_tokenizer), args.for_tokenizer)
    written = {"report": report.write(run, against)}
    if not files.is_stopped:
        written["card"] = card.write(run)
    if args.json:
        screen.result({name: str(path) for name, path in written.items()})
    for name, path in written.items():
        screen.line(f"{name:8} {path}")
    if "card" not in written:
        screen.line(f"{'card':8} none: the run has no dataset")
    return 0


def tokenizer(model: str) -> Any:
    """Load the tokenizer of a model by its name, as an engine would: pinned, without its code.

    Raises:
        InputError: There is none of this name.
    """
    from transformers import AutoTokenizer

    from gristmill.engines.models import pinned

    try:
        return AutoTokenizer.from_pretrained(**pinned(model))
    except (OSError, ValueError) as error:
        said = str(error).strip().splitlines()[0]
        raise InputError(f"--for-tokenizer {model}: {said}; name a folder or a model") from error


def do_publish(args: argparse.Namespace, screen: Screen) -> int:
    """Push a dataset to the Hub; what has arrived is not sent twice."""
    from gristmill.publishing.hub import publish

    run = find_finished(args.run, args.workspace)
    done = publish(run, args.repo, private=not args.public, replace_card=args.replace_card)
    if args.json:
        screen.result(asdict(done))
    seen = "public" if args.public else "private"
    files = counted(done.files, "file")
    screen.line(f"{files}, {done.size_bytes / 1e6:.1f} MB, {seen}: {done.url}")
    screen.hint(f"next     datasets.load_dataset('{args.repo}', revision='{done.commit}')")
    return 0


def do_init(args: argparse.Namespace, screen: Screen) -> int:
    """Write a recipe to edit, from a shipped one, comments included."""
    from gristmill.formats.recipe_files import find, shipped
    from gristmill.pipelines.recipe import Recipe

    if not re.fullmatch(r"[a-z0-9_]+", args.name):
        raise InputError(f"'{args.name}': a recipe's name has small letters, digits and _ only")
    if args.name in shipped():
        words = (f"my_{args.name}", "--from", args.origin or args.name)
        raise InputError(
            f"'{args.name}' is a shipped recipe, and `{typed('run', args.name)}` would still run "
            f"that one; for a copy to edit: {typed('init', *words)}"
        )
    writable(args.workspace)
    path = args.workspace / f"{args.name}.yaml"
    if path.exists():
        raise InputError(f"{path} is there already; choose another name or move it away")
    origin = args.origin or "curate"
    text = find(origin).read_text(encoding="utf-8")
    text = re.sub(r"(?m)^name:.*$", f"name: {args.name}", text, count=1)
    head = HEAD.format(name=args.name, origin=origin, file=path)
    path.write_text(head + text, encoding="utf-8")
    Recipe.load(path)
    if args.json:
        screen.result({"path": str(path)})
    screen.line(f"{path} is written; edit it, then: {typed('check', path)}")
    return 0


def do_schedule(args: argparse.Namespace, screen: Screen) -> int:
    """Serve a deployment that runs the recipe by the clock, until Ctrl-C.

    What would stop the run is said now, not at three in the morning.
    """
    from gristmill.flows.schedule import check_cron, serve
    from gristmill.flows.server import Server, is_configured

    check_cron(args.cron)
    writable(args.workspace)
    order = order_of(args).absolute()
    if args.publish and not args.grow:
        raise InputError("--publish sends the dataset that grows: add --grow")
    prepared = order.prepare()
    order.due(prepared)
    recipe = prepared.recipe
    if not is_configured():
        raise RequirementError(
            "a schedule needs a Prefect server that keeps the clock: start `prefect server start`, "
            "then set PREFECT_API_URL=http://127.0.0.1:4200/api and run this command again"
        )
    Server().wait()
    name = args.name or recipe.name
    screen.note(f"serving build-dataset/{name} by cron '{args.cron}'; Ctrl-C ends it")
    serve(order, name, args.cron)
    return 0
