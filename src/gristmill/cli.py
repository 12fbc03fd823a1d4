"""`build-dataset`: arguments, exit codes, and the last place where an error is caught.

Nothing heavy is imported before a command needs it: `--help` must answer in 0.4 s.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from gristmill import stopping, telemetry
from gristmill.commands.arguments import pair, port, positive
from gristmill.commands.screen import Screen, opened

INTERRUPTED = 130
STOPPED = "stopped; nothing finished is lost: the same command goes on from here"
EPILOG = """exit codes: 0 done; 1 a machine or a bug; 2 the recipe, the usage or a missing
requirement; 3 stopped by target, budget, error rate or a gate; 4 another run holds the
workspace; 130 Ctrl-C. After 1, 3 and 130 the same command goes on where it stopped."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    try:
        args = parser().parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    args.argv = list(sys.argv[1:] if argv is None else argv)
    telemetry.switch_off()
    with suppress(ValueError):  # not the main thread: whoever called us listens
        stopping.listen()
    try:
        with opened(json_lines=args.json, quiet=args.quiet) as screen:
            return _call(args, screen)
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


def parser() -> argparse.ArgumentParser:
    """Return the grammar of the command line."""
    top = argparse.ArgumentParser(
        prog="build-dataset",
        description="Turn seeds into an instruction-tuning dataset that can be trusted.",
        epilog=EPILOG,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    _running(commands)
    check = _add(commands, "check", "checking", "check a recipe and show the plan; loads no model")
    _recipe_options(check)
    check.add_argument("--online", action="store_true", help="ask the Hub as well")
    preview = _add(commands, "preview", "building", "run 10 rows and show them before the full run")
    _recipe_options(preview)
    _run_options(preview)
    preview.add_argument("-n", type=positive, default=10, help="seeds to run (10)")
    forecast = _add(commands, "forecast", "forecast", "predict cost and yield from a few seeds")
    _recipe_options(forecast)
    _run_options(forecast)
    _proving(commands)
    calibrate = _add(commands, "calibrate", "calibrating", "compare a judge with labels of yours")
    _recipe_options(calibrate)
    calibrate.add_argument("labels", metavar="LABELS", help="rows with a label each")
    calibrate.add_argument("--label", default="label", metavar="COLUMN", help="the label (label)")
    found = _add(commands, "list", "looking", "list recipes, stages, runs, or published systems")
    kinds = ("recipes", "stages", "runs", "systems")
    found.add_argument("what", nargs="?", choices=kinds, help="the first three if left out")
    show = _add(commands, "show", "looking", "show a recipe, a stage, a run or a row")
    show.add_argument("name", help="such as curate, filters.length, a run's folder, a row's id")
    _looking(commands)
    _add(commands, "doctor", "doctor", "what this machine can do, and what it lacks")
    _sharing(commands)
    _tools(commands)
    _benchmarks(commands)
    _keeping(commands)
    return top


def _looking(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    status = _add(commands, "status", "status", "what a run has finished; without one, all runs")
    status.add_argument("run", nargs="?", metavar="RUN", help="a folder, a name, or `last`")
    status.add_argument("--watch", action="store_true", help="show it again until the run ends")
    trace = _add(commands, "trace", "looking", "from a row back to its seed, with every reply")
    trace.add_argument("run", metavar="RUN")
    trace.add_argument("row", metavar="ROW", help="a row's id, or its first letters")
    trace.add_argument("--calls", action="store_true", help="each prompt and reply to its end")
    trace.add_argument("--page", type=Path, metavar="FILE", help="all of it as an HTML page")
    _plugins(trace)
    review = _add(commands, "review", "reviewing", "look at rows in a browser, keep or drop them")
    review.add_argument("run", metavar="RUN")
    review.add_argument(
        "--port", type=port, default=0, metavar="N", help="any free one if left out"
    )
    review.add_argument("--import", dest="origin", metavar="FROM", help="marks of records or a run")
    review.add_argument("--export", type=Path, metavar="FILE", help="Argilla's records, instead")
    diff = _add(commands, "diff", "comparing", "compare two versions of a dataset, row by row")
    diff.add_argument("a", metavar="A", help="a run, a dataset folder or hub:owner/name@revision")
    diff.add_argument("b", metavar="B", help="the same, the newer one")


def _running(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = _add(commands, "run", "building", "run a recipe, or go on with one that stopped")
    _recipe_options(run)
    _run_options(run)
    run.add_argument(
        "--metrics-port", type=port, metavar="N",
        help="serve Prometheus metrics on 127.0.0.1 while it runs; 0 is any free port",
    )  # fmt: skip
    _grow(run)


def _proving(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    prove = _add(commands, "prove", "proving", "measure whether a recipe's selection beats chance")
    _recipe_options(prove)
    prove.add_argument(
        "more", metavar="RECIPE", nargs="*", help="further recipes for the same table"
    )
    prove.add_argument(
        "--seeds", type=positive, default=5, help="trainings of every arm, 3 at least (5)"
    )
    held = prove.add_mutually_exclusive_group()
    held.add_argument(
        "--held-out", type=positive, default=200, metavar="N", help="seeds to measure on (200)"
    )
    held.add_argument("--test", metavar="PATH", help="rows with answers to measure on instead")
    prove.add_argument(
        "--tests", metavar="COLUMN",
        help="column of the rows held out with tests in Python: how many programs pass them, too",
    )  # fmt: skip


def _benchmarks(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sets = _add(commands, "benchmarks", "benchmarks", "pin test sets that no row may repeat")
    sets.add_argument("action", choices=("add", "list"))
    sets.add_argument("name", nargs="?", metavar="NAME", help="letters, digits, dots, _ and -")
    sets.add_argument("path", nargs="?", metavar="PATH", help="a file, or hub:owner/name")
    sets.add_argument("--split", default="test", help="of a set on the Hub (test)")
    sets.add_argument("--subset", metavar="NAME", help="of a set on the Hub that has several")
    sets.add_argument(
        "--map", dest="maps", type=pair, action="append", default=[], metavar="COLUMN=YOURS",
        help="which column is id, question or solution; may be repeated",
    )  # fmt: skip


def _tools(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    tools = _add(commands, "tools", "tools", "start an MCP server and write down what it can do")
    tools.add_argument("file", type=Path, metavar="FILE", help="for seeds and engine of a recipe")
    tools.add_argument("--url", default="", help="of a server that speaks streamable HTTP")
    tools.add_argument("--token-env", metavar="NAME", help="the variable with its bearer token")
    tools.add_argument(
        "--env", action="append", default=[], metavar="NAME",
        help="a variable that it needs; may be repeated",
    )  # fmt: skip
    tools.add_argument(
        "server", nargs=argparse.REMAINDER, metavar="SERVER ...", help="the command that starts it"
    )


def _keeping(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    store = _add(commands, "store", "history", "what the stored answers take, and what may go")
    store.add_argument("action", choices=("size", "prune"), help="prune: what no run needs")
    clean = _add(commands, "runs", "history", "remove old runs; shows them first")
    clean.add_argument("action", choices=("remove",))
    clean.add_argument("names", nargs="*", metavar="RUN", help="a folder, a name, or `last`")
    clean.add_argument("--keep", type=positive, metavar="N", help="remove all but the newest N")
    clean.add_argument("--previews", action="store_true", help="and what previews left")
    clean.add_argument("--models", action="store_true", help="and trained models that no run needs")
    clean.add_argument("--yes", action="store_true", help="do it")


def _sharing(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = _add(commands, "report", "sharing", "write a run's HTML report again")
    report.add_argument("run", metavar="RUN")
    report.add_argument("--against", metavar="OTHER", help="compare with an older version, as diff")
    report.add_argument(
        "--for-tokenizer", metavar="NAME", help="token lengths, template and packing for a model"
    )
    publish = _add(commands, "publish", "sharing", "push a run's dataset to the Hub, privately")
    publish.add_argument("run", metavar="RUN")
    publish.add_argument("repo", metavar="OWNER/NAME")
    publish.add_argument("--public", action="store_true", help="let everybody see it")
    publish.add_argument("--replace-card", action="store_true", help="also a card edited there")
    init = _add(commands, "init", "sharing", "write a recipe to edit")
    init.add_argument("name", help="letters, digits and _; written to NAME.yaml in DIR")
    init.add_argument("--from", dest="origin", help="a shipped recipe (curate)")
    schedule = _add(commands, "schedule", "sharing", "serve a Prefect deployment until Ctrl-C")
    _recipe_options(schedule)
    _places(schedule)
    schedule.add_argument("--cron", required=True, help="such as '0 3 * * *'")
    schedule.add_argument("--name", help="of the deployment; the recipe's name if left out")
    _grow(schedule)
    schedule.add_argument("--publish", metavar="OWNER/NAME", help="with --grow: to the Hub as well")
    schedule.add_argument("--public", action="store_true", help="let everybody see it there")


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, module: str, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    command.set_defaults(command=name, module=module)
    command.add_argument(
        "--workspace", type=Path, default=Path(), metavar="DIR",
        help="folder of .gristmill/ (answers) and runs/; the current one if left out",
    )  # fmt: skip
    command.add_argument("--json", action="store_true", help="one JSON object on the last line")
    command.add_argument("--quiet", action="store_true", help="only results and errors")
    return command


def _recipe_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("recipe", metavar="RECIPE", help="a shipped recipe's name, or a file")
    command.add_argument(
        "--set", dest="sets", action="append", default=[], metavar="A.B=V",
        help="set any value, such as stages.-1.k=500; may be repeated",
    )  # fmt: skip
    command.add_argument(
        "--input", dest="inputs", action="append", default=[], metavar="PATH",
        help="seeds: a file, a folder or hub:owner/name; may be repeated",
    )  # fmt: skip
    command.add_argument(
        "--map", dest="maps", type=pair, action="append", default=[], metavar="COLUMN=YOURS",
        help="which of your columns is ours, such as output=answer; may be repeated",
    )  # fmt: skip
    command.add_argument("--target", type=positive, metavar="N", help="rows wanted")
    _plugins(command)
    command.add_argument(
        "--yes-run-code-without-isolation", action="store_true", dest="unisolated",
        help="run generated code with your rights where no sandbox works",
    )  # fmt: skip


def _plugins(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--allow-plugins", action="store_true",
        help="import stages from outside gristmill, start MCP servers: that runs their code",
    )  # fmt: skip


def _grow(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--grow", action="store_true",
        help="run the seeds that are new, and add their rows to the dataset of the recipe's name",
    )  # fmt: skip


def _run_options(command: argparse.ArgumentParser) -> None:
    _places(command)
    command.add_argument("--no-prefect", action="store_true", help="without a Prefect flow")


def _places(command: argparse.ArgumentParser) -> None:
    either = command.add_mutually_exclusive_group()
    either.add_argument("--local", action="store_true", help="in this process, without Ray")
    either.add_argument("--ray", metavar="auto|ADDRESS", help="a Ray cluster to use")


class _Version(argparse.Action):
    """Look the version up only when it is asked for."""

    def __call__(self, *_: object, **__: object) -> None:
        """Print it and leave."""
        from importlib import metadata

        sys.stdout.write(metadata.version("gristmill") + "\n")
        sys.exit(0)


def _call(args: argparse.Namespace, screen: Screen) -> int:
    """Call the command; every error becomes one message and an exit code."""
    try:
        command = getattr(import_module(f"gristmill.commands.{args.module}"), f"do_{args.command}")
        return int(command(args, screen))
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        screen.err.write(f"{STOPPED}\n")
        if args.json:
            told = {"error": STOPPED, "kind": "Interrupted", "exit_code": INTERRUPTED}
            screen.result(told)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the command line is the last boundary
        from gristmill.commands.failing import explain

        return explain(error, args, screen)
