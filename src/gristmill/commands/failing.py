"""What a user reads when something goes wrong: one message with the fix, never a traceback."""

from __future__ import annotations

import argparse
import errno
import os
import sqlite3
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gristmill.commands.screen import Screen
from gristmill.errors import GristmillError, RunLocked, TooManyErrors
from gristmill.publishing.escape import printable

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def explain(error: Exception, args: argparse.Namespace, screen: Screen) -> int:
    """Say what went wrong and return the exit code."""
    if isinstance(error, GristmillError):
        where = getattr(error, "__notes__", ())
        message, code = ": ".join([*where, str(error)]), error.exit_code
    elif known := _machine(error):
        message, code = known, 1
    else:
        first = str(error).strip().splitlines()
        what = f"{type(error).__name__}: {first[0] if first else ''}".rstrip(": ")
        what = ", ".join([what, *getattr(error, "__notes__", ())])
        saved = _save(error, args.workspace)
        message, code = f"{what}; this is a bug or a broken machine, the traceback is in {saved}", 1
    screen.err.write(f"error: {printable(message)}\n")
    if isinstance(error, RunLocked):
        screen.note("`build-dataset status` shows what runs here")
    if args.json:
        told = {"error": message, "kind": type(error).__name__, "exit_code": code}
        screen.result({**_so_far(error), **told})
    return code


def _so_far(error: Exception) -> dict[str, Any]:
    """Return what `run --json` promises, when a run had got so far that it could be counted."""
    if not (isinstance(error, TooManyErrors) and error.result):
        return {}
    from gristmill.commands.building import summary

    return summary(error.result)


def _machine(error: Exception) -> str | None:
    """Word the failures of the machine that a user can repair."""
    text = str(error)
    if (isinstance(error, OSError) and error.errno in FULL) or "disk is full" in text:
        where = getattr(error, "filename", None) or "the workspace"
        return f"no room left to write {where}; free some, then run the same command again: {SAFE}"
    if isinstance(error, PermissionError | IsADirectoryError | NotADirectoryError):
        return f"{error.filename}: {error.strerror}; change its rights, or name another place"
    if isinstance(error, sqlite3.DatabaseError):
        return f"the answer store cannot be used ({text}); is the workspace on a local disk?"
    return None


SAFE = "nothing that was finished is lost"


def _save(error: Exception, workspace: Path) -> Path:
    """Keep the traceback in the workspace, or where there is room."""
    text = (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n{''.join(traceback.format_exception(error))}\n"
    )
    path = workspace / ".gristmill" / "errors.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            log.write(text)
    except OSError:
        handle, name = tempfile.mkstemp(prefix="gristmill-", suffix=".log", text=True)
        with os.fdopen(handle, "w", encoding="utf-8") as spare:
            spare.write(text)
        path = Path(name)
    return path
