"""review: look at the rows of a run in a browser, and mark what to keep or to drop."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.commands.finding import find_finished, find_run
from gristmill.commands.screen import Screen
from gristmill.errors import InputError, RunLocked
from gristmill.text.plurals import counted

if TYPE_CHECKING:
    from gristmill.publishing.review import Review

NEXT = (
    "next: run its recipe again, with --grow for a dataset that grows; what is marked decides "
    "then, and everything else replays"
)


def do_review(args: argparse.Namespace, screen: Screen) -> int:
    """Serve the review page until Ctrl-C; or bring marks from a file, or write them to one."""
    from gristmill.publishing import growth
    from gristmill.publishing.review import Review
    from gristmill.storage.shards import lock

    run = find_finished(args.run, args.workspace)
    try:
        held = lock(run / "marks.lock")
    except RunLocked as error:
        raise RunLocked(f"{run} is under review in another terminal; end that one first") from error
    with held:
        parts = growth.with_part(args.workspace, run)
        review = Review(run, parts)
        for grown in parts:
            screen.note(f"{run.name} is a part of {grown}: marks decide there, too")
        if args.origin is None and args.export is None:
            return _serve(review, args.port, screen)
        told: dict[str, object] = {}
        if args.origin is not None:
            told |= _bring(review, args.origin, args.workspace)
        if args.export is not None:
            told |= _export(review, args.export)
    if args.json:
        screen.result(told)
    for name, value in told.items():
        screen.line(f"{name:16} {value}")
    if told.get("marked"):
        screen.hint(NEXT)
    return 0


def _serve(review: Review, port: int, screen: Screen) -> int:
    from gristmill.publishing.review_server import Server

    try:
        server = Server(review, port)
    except OSError as error:
        raise InputError(f"port {port} of 127.0.0.1: {error.strerror}; name another one") from error
    with server:
        if screen.json:
            screen.result({"url": server.url, "rows": len(review.rows)})
        screen.line(server.url)
        screen.hint("open that address in a browser on this machine; Ctrl-C ends it")
        screen.out.flush()
        before = review.marks
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            n = sum(review.marks.get(i) != before.get(i) for i in {*review.marks, *before})
            screen.note(f"{counted(n)} marked; {counted(len(review.marks), 'mark')} in all")
            if n:
                screen.note(NEXT)
    return 0


def _bring(review: Review, origin: str, workspace: Path) -> dict[str, object]:
    """Take marks from Argilla's records, a file of marks, or another run."""
    from gristmill.formats import marks
    from gristmill.publishing import argilla

    path = Path(origin)
    if path.suffix == ".json":
        return dict(argilla.read(review, path))
    if not path.is_file():
        path = find_run(origin, workspace) / marks.FILE
    found = marks.read_file(path).by_id
    for place in review.places:
        marks.add(place, found.values())
    return {"marked": len(found)}


def _export(review: Review, path: Path) -> dict[str, object]:
    from gristmill.publishing import argilla

    return {"records": argilla.write(review, path), "path": str(path)}
