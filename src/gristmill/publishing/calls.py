"""The replies behind a row, read from the answer store when it lies beside the run.

The store keeps answers by the hash of what was asked, without the prompts. What kind of call it was
is seen from the answer alone.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PARENTS = 3
"""Folders above a run in which its workspace is looked for: `<workspace>/runs/<run>`."""


@dataclass(frozen=True)
class Reply:
    """One stored answer."""

    kind: str
    """generate, score, entropy, embed, choice, run, or `unknown`."""
    text: str
    """The reply of a model; of everything else what it says in short."""


def store_of(run: Path) -> Path | None:
    """Return the answer store of the workspace that a run lies in; None where there is none."""
    folders = [run.resolve(), *run.resolve().parents][: PARENTS + 1]
    return next((p for f in folders if (p := f / ".gristmill" / "answers.sqlite").is_file()), None)


def replies(run: Path, keys: Iterable[str]) -> dict[str, Reply] | None:
    """Return the stored replies by key; None where no store can be read."""
    path = store_of(run)
    if path is None:
        return None
    found: dict[str, Reply] = {}
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as store:
            for key in keys:
                query = "SELECT answer FROM answers WHERE key = ?"
                if row := store.execute(query, (key,)).fetchone():
                    found[key] = read(bytes(row[0]))
    except sqlite3.Error:
        return None
    return found


def read(packed: bytes) -> Reply:
    """Return what stored bytes say: JSON for texts, choices and verdicts, numbers for the rest."""
    try:
        said = json.loads(packed)
    except ValueError:
        return _numbers(packed)
    if not isinstance(said, dict):
        return Reply("unknown", f"{len(packed):,} bytes")
    if "text" in said:
        return Reply("generate", said["text"])
    if "mass" in said:
        return Reply("choice", ", ".join(f"{k}={v:.3f}" for k, v in said["values"].items()))
    if "n_response" in said:
        return Reply("diverge", f"how far two models are apart on {len(said['values'])} tokens")
    if "status" in said:
        counts = f"{said.get('checks_passed', 0)} of {said.get('checks_total', 0)} checks passed"
        return Reply("run", ": ".join(filter(None, [said["status"], said.get("detail"), counts])))
    return Reply("unknown", f"{len(packed):,} bytes")


def _numbers(packed: bytes) -> Reply:
    """Tell a vector from log-probs: eight bytes of header, then a unit length or not."""
    body = packed[8:]
    if len(packed) >= 8 and len(body) % 4 == 0:
        vector = np.frombuffer(body, "<f4")
        with np.errstate(all="ignore"):  # log-probs, read as half as wide, are anything
            length = float(np.linalg.norm(vector))
        if abs(length - 1) < 1e-3:
            return Reply("embed", f"a vector of {len(vector)} numbers")
    n = int.from_bytes(packed[12:16], "little")
    if n and len(packed) in (16 + 12 * n, 16 + 16 * n):
        return Reply("entropy", f"log-probs and entropies of {n} tokens")
    if len(packed) >= 8 and len(body) % 8 == 0:
        values = np.frombuffer(body, "<f8")
        if not len(values) or (np.isfinite(values).all() and values.max() <= 1e-6):
            mean = f", {-values.mean():.3f} nats each" if len(values) else ""
            return Reply("score", f"log-probs of {len(values)} tokens{mean}")
    return Reply("unknown", f"{len(packed):,} bytes")


def measured(store: Path, keys: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return the bytes of stored answers with their keys, and the tokens written for each."""
    found: dict[str, tuple[int, int]] = {}
    with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as reads:
        for key in keys:
            ask = reads.execute("SELECT answer FROM answers WHERE key = ?", (key,))
            if row := ask.fetchone():
                found[key] = len(key) + len(row[0]), _written(bytes(row[0]))
    return found


def _written(packed: bytes) -> int:
    """Return the tokens of a text; everything else that is stored was only read."""
    if not packed.startswith(b'{"text"'):
        return 0
    said: dict[str, Any] = json.loads(packed)
    return int(said["completion_tokens"])
