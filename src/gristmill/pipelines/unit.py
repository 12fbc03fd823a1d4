"""What one worker does: families of rows through a fused run of stages.

A family is the rows that share their parents. Its rows move on alone, each in its own
coroutine, and meet again only where a stage compares siblings. There is no other barrier.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyarrow as pa

from gristmill.engines.client import Asks
from gristmill.engines.passes import UNREAD, unread
from gristmill.errors import EngineError, GristmillError, PromptRefused, PromptTooLong, StageError
from gristmill.formats.marks import Marks
from gristmill.formats.values import typed
from gristmill.pipelines.context import Context
from gristmill.pipelines.plan import Use
from gristmill.pipelines.stage import Drop, TableStage
from gristmill.storage.ids import child_id
from gristmill.storage.rows import CLEARED, STRUCTS, Row, canonical, look, put, view_table
from gristmill.storage.shards import Shard

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Failed:
    """A row that raised: data, not an exception, so that it can cross processes."""

    error: str


@dataclass(frozen=True)
class Unit:
    """Consecutive uses with what they need; the uses are picklable, the rest is per worker."""

    uses: Sequence[Use]
    seed: int
    types: Mapping[str, pa.DataType]
    roles: Mapping[str, Asks]
    round: int = 0
    pool: pa.Table | None = None
    """Rows accepted in earlier rounds."""
    marks: Marks = field(default_factory=Marks)

    async def run(self, family: list[Row], start: int, shard: Shard) -> None:
        """Take a family from a stage to the end of the unit and record every ending."""
        tables = (i for i, u in enumerate(self.uses) if isinstance(u.stage, TableStage))
        stop = next((i for i in tables if i >= start), len(self.uses))
        if start < stop:
            moves = [self._move(row, start, stop, shard) for row in family]
            moved = [await moves[0]] if len(moves) == 1 else await asyncio.gather(*moves)
            family = [row for row in moved if row is not None]
        family = sorted(family, key=canonical)
        if stop == len(self.uses):
            for row in family:
                shard.end(row, "kept", self.uses[-1].label)
        elif family:
            await self.run(await self.decide(stop, family, shard), stop + 1, shard)

    async def _move(self, row: Row, start: int, stop: int, shard: Shard) -> Row | None:
        """Move one row on; None when it left or went on as its children."""
        for i in range(start, stop):
            use = self.uses[i]
            out, calls = await self._call(use, row, shard)
            row = {**row, "calls": calls}
            if isinstance(out, Drop):
                out = self._reviewed(use, row, out)
            if isinstance(out, Drop | Failed):
                _leave(use, row, out, shard)
                return None
            shard.count(use.label, in_=1, entered_ok=1)
            if isinstance(out, list):
                shard.end(row, "expanded", use.label)
                await self.run(self._children(use, row, out, shard), i + 1, shard)
                return None
            shard.count(use.label, made=1, kept=1)
            row = out
        return row

    async def _call(
        self, use: Use, row: Row, shard: Shard
    ) -> tuple[Row | Drop | Failed | list[Any], list[str]]:
        """Call a stage on a row; return what became of it and the calls it is made from.

        What a row paid for is counted and named however it ends.
        """
        ctx = self._context(use, row["id"]) if use.awaits else None
        out = await _guarded(use, self._outcome(use, row, ctx))
        if ctx is None:
            return out, row["calls"]
        calls = [*row["calls"], *_paid(use, ctx, shard)]
        for made in out if isinstance(out, list) else [out]:
            if isinstance(made, dict):
                made["calls"] = calls
        return out, calls

    async def _outcome(self, use: Use, row: Row, ctx: Context | None) -> Row | Drop | list[Any]:
        """Merge what a stage returns here already, so that bad columns fail the row too."""
        view = {name: look(row, name) for name in use.reads}
        stage: Any = use.stage
        out = stage(view) if ctx is None else await stage(view, ctx)
        if not isinstance(out, list):
            return _declared(use, out) if isinstance(out, Drop) else merge(use, row, out)
        if not out:
            raise StageError(f"stage '{use.label}' returned no rows; return a Drop and say why")
        return [_declared(use, o) if isinstance(o, Drop) else merge(use, row, o) for o in out]

    def _children(self, use: Use, row: Row, out: list[Row | Drop], shard: Shard) -> list[Row]:
        children = []
        for number, made in enumerate(out):
            id_ = child_id([row["id"]], use.label, self.round, number)
            born = {"id": id_, "parents": [row["id"]], "stage": use.label}
            if isinstance(made, Drop):
                shard.count(use.label, rejected_children=1)
                gone = {**row, **born}
                shard.end(gone, "rejected", use.label, code=made.code, detail=made.detail)
            else:
                children.append({**made, **born})
        shard.count(use.label, made=len(out), kept=len(children))
        return children

    def _context(self, use: Use, row_id: str) -> Context:
        roles = {role: self.roles[role] for role in use.stage.needs()}
        return Context(roles, self.seed, use.label, row_id, self.round, self.pool)

    async def decide(self, i: int, rows: list[Row], shard: Shard) -> list[Row]:
        """Let a table stage decide on rows in canonical order; return those that stay.

        What a stage raises on a family ends that family's rows, on the whole table the run.
        """
        use = self.uses[i]
        ctx = self._context(use, ",".join(rows[0]["parents"]))
        out = await _guarded(use, self._decisions(use, rows, ctx))
        calls, kept = _paid(use, ctx, shard), []
        for row, end in out if isinstance(out, list) else [(row, out) for row in rows]:
            row = {**row, "calls": [*row["calls"], *calls]}
            if end:
                _leave(use, row, end, shard)
            else:
                shard.count(use.label, in_=1, entered_ok=1, made=1, kept=1)
                kept.append(row)
        return kept

    async def _decisions(
        self, use: Use, rows: list[Row], ctx: Context
    ) -> list[tuple[Row, Drop | None]]:
        """Return every row with its new columns, and why it leaves if it does."""
        table = view_table(rows, use.reads, self.types)
        assert isinstance(use.stage, TableStage)
        if use.awaits:
            decided = await use.stage.decide(table, ctx)
        elif use.is_barrier:
            more = [self.pool] if use.stage.pools else []
            decided = await asyncio.to_thread(use.stage.decide, table, *more)
        else:
            decided = use.stage.decide(table)
        lines = {line["id"]: line for line in decided.to_pylist()}
        if len(lines) != len(rows) or any(row["id"] not in lines for row in rows):
            raise StageError(
                f"stage '{use.label}' decided on {len(lines)} of {len(rows)} rows; "
                "return exactly one line per input row"
            )
        out: list[tuple[Row, Drop | None]] = []
        for row in rows:
            line = lines[row["id"]]
            row = merge(use, row, {name: line.get(name) for name in use.lands})
            end: Row | Drop = row
            if not line["keep"]:
                drop = _declared(use, Drop(line["code"], line["detail"] or ""))
                end = self._reviewed(use, row, drop)
            out.append((row, end) if isinstance(end, Drop) else (end, None))
        return out

    def _reviewed(self, use: Use, row: Row, drop: Drop) -> Row | Drop:
        """Let a person's mark overrule a filter."""
        back = use.folder == "filters" and self.marks.bring_back(row, use.label, drop.code)
        return back or drop


async def _guarded(use: Use, work: Awaitable[T]) -> T | Drop | Failed:
    """Wait for what a stage makes of a row, a family or a table; say what its errors mean."""
    try:
        return await work
    except Exception as error:
        if use.is_barrier:  # no row is to blame
            error.add_note(f"in stage '{use.label}'")
            raise
        if isinstance(error, PromptTooLong | PromptRefused):
            return Drop(unread(error), str(error))
        if isinstance(error, GristmillError) and not isinstance(error, EngineError):
            raise
        return Failed(traceback.format_exc())  # data: it goes to the failed rows


def merge(use: Use, row: Row, columns: Mapping[str, Any]) -> Row:
    """Return a row with the columns that a stage wrote. A new instruction clears the output."""
    if not isinstance(columns, Mapping):
        raise StageError(f"stage '{use.label}' returned {columns!r}; return its columns or a Drop")
    if unknown := columns.keys() - use.lands.keys():
        raise StageError(
            f"stage '{use.label}' wrote {sorted(unknown)}; its signature declares "
            f"{sorted(use.lands)}"
        )
    row = dict(row)
    if "instruction" in columns:
        row |= {name: {} if name in STRUCTS else None for name in CLEARED}
    elif "output" in columns and "messages" not in columns:
        row["messages"] = None  # the conversation with the old answer is no longer true
    for name, value in columns.items():
        try:
            put(row, use.lands[name], typed(value, use.kinds[name]))
        except ValueError as error:
            where = f"the column '{name}' of stage '{use.label}' got {str(value)[:80]!r}"
            raise ValueError(f"{where}: {error}") from error
    return row


def _paid(use: Use, ctx: Context, shard: Shard) -> list[str]:
    keys, tokens = ctx.used()
    shard.tokens += tokens
    shard.count(use.label, asked=len(keys))
    return keys


def _leave(use: Use, row: Row, end: Drop | Failed, shard: Shard) -> None:
    """End a row at the stage that it failed in or was rejected by."""
    if isinstance(end, Failed):
        shard.count(use.label, in_=1, failed=1)
        shard.end(row, "failed", use.label, error=end.error)
    else:
        shard.count(use.label, in_=1, rejected=1)
        shard.end(row, "rejected", use.label, code=end.code, detail=end.detail)


def _declared(use: Use, drop: Drop) -> Drop:
    if drop.code not in use.stage.codes | UNREAD:
        raise StageError(
            f"stage '{use.label}' gave the undeclared reject code '{drop.code}'; "
            f"add it to `codes`, found {sorted(use.stage.codes)}"
        )
    return drop
