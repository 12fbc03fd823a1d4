"""Run a recipe. There is no resume: running it again replays it from the answer store.

Seeds are consumed in canonical order, in waves. A wave is a longer prefix of the seeds through
the whole recipe; the part that was there before costs nothing, because its shards are finished
or its answers stored. So every decision is a function of the prefix, never of time. With
`rounds` all seeds go through again and again instead, each round seeing what the ones before
it accepted.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from gristmill.engines.progress import Meter
from gristmill.errors import TooManyErrors
from gristmill.pipelines.plan import Plan, Use
from gristmill.pipelines.recipe import Recipe
from gristmill.pipelines.runners import Runner
from gristmill.pipelines.seeds import born, cut
from gristmill.pipelines.unit import Unit
from gristmill.pipelines.waves import Stop, next_wave, stop_after, stop_for_yield
from gristmill.storage.ids import digest
from gristmill.storage.ledger import Counts, add, lines
from gristmill.storage.rows import Row, canonical, to_table
from gristmill.storage.shards import Shard, write_text

log = logging.getLogger(__name__)

Step = Callable[[str, Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Runs one unit of work by name: directly, or as a task of an orchestrator that may retry it."""


@dataclass(frozen=True)
class Result:
    """What a run leaves."""

    dataset: pa.Table
    ledger: list[dict[str, Any]]
    stop: Stop
    path: Path
    note: dict[str, Any] = field(repr=False)
    """Everything that `ledger.json` says."""

    @property
    def folder(self) -> Path:
        """The dataset folder."""
        return self.path / "dataset"

    @property
    def report(self) -> Path:
        """The HTML report, when the recipe asks for one."""
        return self.path / "report.html"


@dataclass
class Outcome:
    """What a pass over the seeds gave so far."""

    rows: list[Row] = field(default_factory=list)
    counts: Counts = field(default_factory=dict)
    tokens: int = 0
    asked: int = 0
    """Answers used, made or replayed."""
    files: list[str] = field(default_factory=list)

    def take(self, shard: Shard, file: str) -> None:
        """Add a finished shard."""
        add(self.counts, shard.counts)
        self.tokens += shard.tokens
        self.asked += shard.asked
        self.files.append(file)


@dataclass
class Run:
    """One run of one plan."""

    recipe: Recipe
    plan: Plan
    seeds: list[Row]
    roles: Mapping[str, Any]
    runner: Runner
    path: Path
    step: Step
    meter: Meter

    async def __call__(self) -> tuple[Outcome, Stop, int]:
        """Run wave after wave or round after round, then the trailing selectors."""
        found, stop, n_seeds = await (self._rounds() if self.recipe.rounds else self._waves())
        found.rows = self._cut(found)
        for i, use in enumerate(self.plan.selectors):
            name = f"select-{i:02d}"
            shards = await self._step(name, [use], found.rows, 0, self._barrier, {})
            self._gather(found, name, shards)
        return found, stop, n_seeds

    def save(
        self, found: Outcome, table: pa.Table, stop: Stop, n_seeds: int, extra: Mapping[str, Any]
    ) -> Result:
        """Check the ledger and write it: the last file of a run, after its dataset."""
        ledger = lines(self.plan.labels, found.counts)
        made = sum(role["made"] for role in self.meter.calls.values())
        note = {
            "name": self.recipe.name,
            "fingerprint": self.plan.fingerprint,
            "stop": stop,
            "seeds": n_seeds,
            "tokens": found.tokens,
            "calls": {"made": made, "replayed": max(0, found.asked - made)},
            "roles": self.meter.calls,
            "units": self._units(),
            "stages": ledger,
            "files": found.files,
            "wall_s": self.meter.look().wall_s,
            **extra,
        }
        write_text(self.path / "ledger.json", json.dumps(note, indent=1))
        return Result(table, ledger, stop, self.path, note)

    async def _waves(self) -> tuple[Outcome, Stop, int]:
        ends: list[int] = []
        found = Outcome()
        while True:
            ends.append(next_wave(self.recipe, ends, len(self.seeds), len(found.rows)))
            bounds = zip([0, *ends], ends, strict=False)
            wave_of = {
                row["id"]: wave
                for wave, (start, end) in enumerate(bounds)
                for row in self.seeds[start:end]
            }
            found = await self._pass(self.seeds[: ends[-1]], 0, len(ends), wave_of, None)
            last = ends[-1] == len(self.seeds)
            if stop := stop_after(self.recipe, len(found.rows), found.tokens, is_last=last):
                return found, stop, ends[-1]

    async def _rounds(self) -> tuple[Outcome, Stop, int]:
        assert self.recipe.rounds
        total = Outcome()
        for number in range(self.recipe.rounds.n):
            seeds = born(self.seeds, number)
            pool = to_table(total.rows, self.plan.schema)
            one = await self._pass(seeds, number, number + 1, {}, pool)
            for label, counts in one.counts.items():
                total.counts.setdefault(label, Counter()).update(counts)
            total.rows = sorted([*total.rows, *one.rows], key=canonical)
            total.tokens += one.tokens
            total.asked += one.asked
            total.files += one.files
            last = number + 1 == self.recipe.rounds.n
            poor = stop_for_yield(self.recipe, len(seeds), len(one.rows))
            if stop := (
                stop_after(self.recipe, len(total.rows), total.tokens, is_last=last) or poor
            ):
                break
        return total, stop or "seeds", len(self.seeds)

    async def _pass(
        self,
        rows: list[Row],
        number: int,
        wave: int,
        wave_of: Mapping[str, int],
        pool: pa.Table | None,
    ) -> Outcome:
        """Take rows through every unit."""
        found = Outcome(rows=rows)
        for i, uses in enumerate(self.plan.units):
            unit = f"{number:02d}-{i:02d}"
            how = self._barrier if uses[0].is_barrier else self._rows
            self.meter.enter(" + ".join(use.label for use in uses), wave, len(found.rows))
            shards = await self._step(unit, uses, found.rows, number, how, wave_of, pool, wave)
            self._gather(found, unit, shards)
            self._check_failures(uses, found.counts)
            self.meter.kept = len(found.rows)
        return found

    async def _step(
        self, unit: str, uses: Sequence[Use], rows: list[Row], number: int, how: Any,
        wave_of: Mapping[str, int], pool: pa.Table | None = None, wave: int = 1,
    ) -> dict[str, Shard]:  # fmt: skip
        """Run one unit of work by the name that an orchestrator shows."""
        what = Unit(uses, self.recipe.seed, self.plan.types, self.roles, number, pool)
        name = f"{unit} wave {wave}: {' + '.join(use.label for use in uses)}"
        result: dict[str, Shard] = await self.step(name, lambda: how(unit, what, rows, wave_of))
        return result

    async def _rows(
        self, unit: str, what: Unit, rows: list[Row], wave_of: Mapping[str, int]
    ) -> dict[str, Shard]:
        """Run a fused unit over the shards that are not finished."""
        pool = "" if what.pool is None else digest(what.pool["id"].to_pylist())
        shards = {
            digest([row["id"] for family in part for row in family], pool): part
            for part in cut(rows, self.runner.rows_per_shard, wave_of)
        }
        done = {key: shard for key in shards if (shard := Shard.read(self._file(unit, key)))}
        todo = {key: part for key, part in shards.items() if key not in done}
        reused = len(done)
        self.runner.done += sum(len(f) for key in done for f in shards[key])
        async for key, shard in self.runner.map(what, todo):
            await asyncio.to_thread(self._write, shard, unit, key)
            done[key] = shard
        log.info("unit=%s rows=%d shards=%d reused=%d", unit, len(rows), len(done), reused)
        return done

    async def _barrier(
        self, unit: str, what: Unit, rows: list[Row], wave_of: Mapping[str, int]
    ) -> dict[str, Shard]:
        """Let a table stage decide on all rows so far."""
        key = digest([row["id"] for row in rows])
        if rows and not (shard := Shard.read(self._file(unit, key))):
            shard = Shard()
            for row in await what.decide(0, rows, shard):
                shard.end(row, "kept", what.uses[0].label)
            await asyncio.to_thread(self._write, shard, unit, key)
        self.runner.done += len(rows)
        return {key: shard} if rows and shard else {}

    def _gather(self, found: Outcome, unit: str, shards: Mapping[str, Shard]) -> None:
        found.rows = sorted((row for s in shards.values() for row in s.kept()), key=canonical)
        for key in sorted(shards):
            found.take(shards[key], str(self._file(unit, key).relative_to(self.path)))

    def _cut(self, found: Outcome) -> list[Row]:
        """Keep the first rows in canonical order, up to the target; reject the surplus."""
        rows, shard = found.rows, Shard()
        limit = self.recipe.target or len(rows)
        for row in rows[:limit]:
            shard.end(row, "kept", "target")
        for row in rows[limit:]:
            shard.end(row, "rejected", "target", code="over_target", detail=f"target {limit}")
        n = len(rows[:limit])
        shard.count("target", in_=len(rows), entered_ok=n, rejected=len(rows) - n, made=n, kept=n)
        self._write(shard, "target", "target")
        found.take(shard, str(self._file("target", "target").relative_to(self.path)))
        return rows[:limit]

    def _units(self) -> list[dict[str, Any]]:
        """Name every folder of shards with the labels and the round that it belongs to."""
        n = self.recipe.rounds.n if self.recipe.rounds else 1
        units = [
            {"folder": f"{r:02d}-{i:02d}", "round": r, "labels": [u.label for u in uses]}
            for r in range(n)
            for i, uses in enumerate(self.plan.units)
        ]
        last: list[dict[str, Any]] = [{"folder": "target", "round": None, "labels": ["target"]}]
        for i, use in enumerate(self.plan.selectors):
            last.append({"folder": f"select-{i:02d}", "round": None, "labels": [use.label]})
        return units + last

    def _file(self, unit: str, key: str) -> Path:
        return self.path / "shards" / unit / f"{key}.parquet"

    def _write(self, shard: Shard, unit: str, key: str) -> None:
        shard.write(self._file(unit, key), self.plan.shard_schema, canonical)

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
