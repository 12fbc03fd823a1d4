"""Run a recipe. There is no resume: running it again replays it from the answer store.

Seeds are consumed in id order, in waves. A wave is a longer prefix of the seeds through the
whole recipe; the part that was there before costs nothing, because its shards are finished
or its answers stored. So every decision is a function of the prefix, never of time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from gristmill.engines.base import Engine
from gristmill.engines.client import Client
from gristmill.errors import TooManyErrors
from gristmill.pipelines.plan import Plan, Use, build, check
from gristmill.pipelines.recipe import Recipe
from gristmill.pipelines.runners import LocalRunner, Runner
from gristmill.pipelines.seeds import cut, read_seeds, seed_rows
from gristmill.pipelines.unit import Unit
from gristmill.storage.answers import Answers
from gristmill.storage.ids import digest
from gristmill.storage.ledger import Counts, add, lines
from gristmill.storage.rows import Row, canonical, to_table
from gristmill.storage.shards import Shard, lock, write_parquet, write_text

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What a run leaves."""

    dataset: pa.Table
    ledger: list[dict[str, Any]]
    stop: str
    """target, seeds or budget."""
    path: Path


def run(
    recipe: Recipe,
    seeds: Sequence[Row] | None = None,
    engines: Mapping[str, Engine] | None = None,
    runner: Runner | None = None,
    workspace: Path = Path(".gristmill"),
) -> Result:
    """Run `recipe`; `seeds` and `engines` replace those that it names."""
    if seeds is None:
        seeds = read_seeds(Path(recipe.seeds["path"]))
    built = {
        role: build("gristmill.engines", f"engines.{role}", entry, Engine)  # type: ignore[type-abstract]
        for role, entry in recipe.engines.items()
    } | dict(engines or {})
    columns, rows = seed_rows(seeds)
    plan = check(recipe, columns, built)
    held = lock(workspace / "lock")
    answers = Answers(workspace / "answers.sqlite")
    try:
        clients = {role: Client(engine, answers) for role, engine in built.items()}
        path = workspace / "runs" / f"{recipe.name}-{plan.fingerprint[:12]}"
        return _block(Run(recipe, plan, rows, clients, runner or LocalRunner(), path))
    finally:
        answers.close()
        held.close()


@dataclass
class Run:
    """One run of one plan."""

    recipe: Recipe
    plan: Plan
    seeds: list[Row]
    clients: Mapping[str, Client]
    runner: Runner
    path: Path

    async def __call__(self) -> Result:
        """Run wave after wave, then the trailing selectors."""
        lock_text = yaml.safe_dump(self.recipe.model_dump(mode="json"), sort_keys=False)
        write_text(self.path / "recipe.lock.yaml", lock_text)
        ends: list[int] = []
        rows: list[Row] = []
        while True:
            ends.append(self._next(ends, len(rows)))
            rows, counts, tokens, files = await self._wave(ends)
            if stop := self._stop(len(rows), ends[-1], tokens):
                break
        first, more = self._cut(rows)
        add(counts, more.counts)
        files.append(self._write(more, len(self.plan.units), "target"))
        rows = await self._select(first, counts, files)
        dataset = to_table(rows, self.plan.schema)
        ledger = lines(self.plan.labels, counts)
        write_parquet(self.path / "dataset" / "train-00000.parquet", dataset)
        note = {
            "stop": stop,
            "seeds": ends[-1],
            "tokens": tokens,
            "units": self.plan.unit_labels,
            "stages": ledger,
            "files": files,
        }
        write_text(self.path / "ledger.json", json.dumps(note, indent=1))
        return Result(dataset, ledger, stop, self.path)

    def _next(self, ends: list[int], found: int) -> int:
        """Return where the next wave ends: 10 % of the seeds, then what the yield asks for."""
        everything = len(self.seeds)
        if self.recipe.target is None and self.recipe.budget.tokens is None:
            return everything
        tenth = max(1, math.ceil(everything / 10))
        if not ends or self.recipe.target is None:
            return min(everything, (ends[-1] if ends else 0) + tenth)
        missing = self.recipe.target - found
        more = math.ceil(missing * ends[-1] / found * 1.1) if found else ends[-1]
        return min(everything, ends[-1] + more)

    def _stop(self, found: int, end: int, tokens: int) -> str | None:
        if self.recipe.target is not None and found >= self.recipe.target:
            return "target"
        if end == len(self.seeds):
            return "seeds"
        limit = self.recipe.budget.tokens
        return "budget" if limit is not None and tokens >= limit else None

    async def _wave(self, ends: list[int]) -> tuple[list[Row], Counts, int, list[str]]:
        """Take the seeds so far through every unit."""
        rows, counts, tokens, files = self.seeds[: ends[-1]], Counts(), 0, list[str]()
        wave_of = {
            row["id"]: wave
            for wave, (start, end) in enumerate(zip([0, *ends], ends, strict=False))
            for row in self.seeds[start:end]
        }
        for i, uses in enumerate(self.plan.units):
            done = self._barrier if uses[0].is_barrier else self._rows
            shards = await done(i, uses, rows, wave_of)
            rows = sorted((row for s in shards.values() for row in s.kept()), key=canonical)
            for key in sorted(shards):
                add(counts, shards[key].counts)
                tokens += shards[key].tokens
                files.append(str(self._file(i, key).relative_to(self.path)))
            self._check_failures(uses, counts)
        return rows, counts, tokens, files

    async def _rows(
        self, i: int, uses: Sequence[Use], rows: list[Row], wave_of: Mapping[str, int]
    ) -> dict[str, Shard]:
        """Run a fused unit over the shards that are not finished."""
        shards = {
            digest([row["id"] for family in part for row in family]): part
            for part in cut(rows, self.runner.rows_per_shard, wave_of)
        }
        done = {key: shard for key in shards if (shard := Shard.read(self._file(i, key)))}
        todo = {key: part for key, part in shards.items() if key not in done}
        reused = len(done)
        async for key, shard in self.runner.map(self._unit(uses), todo):
            self._write(shard, i, key)
            done[key] = shard
        log.info("unit=%d rows=%d shards=%d reused=%d", i, len(rows), len(done), reused)
        return done

    async def _barrier(
        self, i: int, uses: Sequence[Use], rows: list[Row], wave_of: Mapping[str, int]
    ) -> dict[str, Shard]:
        """Let a table stage decide on all rows so far."""
        key = digest([row["id"] for row in rows])
        if rows and not (shard := Shard.read(self._file(i, key))):
            shard = Shard()
            for row in await self._unit(uses).decide(0, rows, shard):
                shard.end(row, "kept", uses[0].label)
            self._write(shard, i, key)
        return {key: shard} if rows and shard else {}

    async def _select(self, rows: list[Row], counts: Counts, files: list[str]) -> list[Row]:
        for i, use in enumerate(self.plan.selectors, len(self.plan.units) + 1):
            shards = await self._barrier(i, [use], rows, {})
            for key, shard in shards.items():
                add(counts, shard.counts)
                files.append(str(self._file(i, key).relative_to(self.path)))
            rows = sorted((row for s in shards.values() for row in s.kept()), key=canonical)
        return rows

    def _cut(self, rows: list[Row]) -> tuple[list[Row], Shard]:
        """Keep the first rows in canonical order, up to the target; reject the surplus."""
        shard, limit = Shard(), self.recipe.target or len(rows)
        for row in rows[:limit]:
            shard.end(row, "kept", "target")
        for row in rows[limit:]:
            shard.end(row, "rejected", "target", code="over_target", detail=f"target {limit}")
        n = len(rows[:limit])
        shard.count("target", in_=len(rows), entered_ok=n, rejected=len(rows) - n, made=n, kept=n)
        return rows[:limit], shard

    def _unit(self, uses: Sequence[Use]) -> Unit:
        types, seed = self.plan.types, self.recipe.seed
        return Unit(uses, seed, types, self.clients)

    def _file(self, i: int, key: str) -> Path:
        return self.path / "shards" / f"{i:02d}" / f"{key}.parquet"

    def _write(self, shard: Shard, i: int, key: str) -> str:
        path = self._file(i, key)
        shard.write(path, self.plan.shard_schema, canonical)
        return str(path.relative_to(self.path))

    def _check_failures(self, uses: Sequence[Use], counts: Counts) -> None:
        for use in uses:
            found = counts.get(use.label, Counter())
            failed, entered = found["failed"], found["in"]
            if failed > self.recipe.max_error_rate * entered:
                raise TooManyErrors(
                    f"stage '{use.label}': {failed} of {entered} rows failed, more than "
                    f"max_error_rate={self.recipe.max_error_rate}; their tracebacks are in "
                    f"{self.path / 'shards'}; repair the cause and run the same command again"
                )


def _block(work: Run) -> Result:
    """Run to the end, also where a notebook's event loop is already running."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    box: list[Result] = []
    thread = threading.Thread(target=lambda: box.append(asyncio.run(work())))
    thread.start()
    thread.join()
    return box[0]
