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
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from gristmill.engines.progress import Meter
from gristmill.engines.retraining import retrain
from gristmill.engines.training import lesson
from gristmill.errors import TooManyErrors
from gristmill.formats.marks import DROPPED, Marks
from gristmill.pipelines.outcome import FEW, Outcome, Result, check_failures, units
from gristmill.pipelines.plan import Plan, Use
from gristmill.pipelines.recipe import Recipe
from gristmill.pipelines.runners import LocalRunner
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


@dataclass
class Run:
    """One run of one plan."""

    recipe: Recipe
    plan: Plan
    seeds: list[Row]
    roles: Mapping[str, Any]
    runner: LocalRunner
    path: Path
    step: Step
    meter: Meter
    given: Mapping[str, Any]
    """What the ledger says about the seeds."""
    marks: Marks
    _found: Outcome = field(default_factory=lambda: Outcome())
    """What the pass under way gave so far."""
    _under_way: dict[str, Shard] = field(default_factory=dict)
    """The finished shards of the fused unit under way, by their files."""

    async def __call__(self) -> tuple[Outcome, Stop, int]:
        """Run wave after wave or round after round, then the trailing selectors."""
        try:
            found, stop, n_seeds = await (self._rounds() if self.recipe.rounds else self._waves())
            self._check_failures(self.plan.uses, found.counts, fewest=0)
        except TooManyErrors as error:
            error.result = self._stopped()
            raise
        found.rows = self._cut(found)
        for i, use in enumerate(self.plan.selectors):
            name = f"select-{i:02d}"
            what, before = Unit([use], self.recipe.seed, self.plan.types, self.roles), found.rows
            shards = await self._step(name, what, before, self._barrier, {}, found.state)
            self._gather(found, shards)
            found.saw(use, before)
        return found, stop, n_seeds

    def save(
        self, found: Outcome, table: pa.Table, stop: Stop, n_seeds: int, files: Mapping[str, int]
    ) -> Result:
        """Check the ledger and write it: the last file of a run, after its dataset's `files`."""
        ledger = lines(self.plan.labels, found.counts, whole=stop != "error_rate")
        asked = sum(counts["asked"] for counts in found.counts.values())
        made = sum(role["made"] for role in self.meter.calls.values())
        note = {
            "name": self.recipe.name,
            "fingerprint": self.plan.fingerprint,
            "stop": stop,
            "seeds": n_seeds,
            "tokens": found.tokens,
            "calls": {"made": made, "replayed": max(0, asked - made)},
            "roles": self.meter.calls,
            "units": units(self.plan, self.recipe),
            "stages": ledger,
            "files": found.files,
            "wall_s": self.meter.look().wall_s,
            "input": self.given,
            "dataset": files,
        }
        write_text(self.path / "ledger.json", json.dumps(note, indent=1))
        return Result(table, ledger, stop, self.path, note)

    def _stopped(self) -> Result:
        """Leave a ledger of what is finished, so that `status` and `trace` show what failed."""
        found = self._found
        found.take_all(self._under_way)
        return self.save(found, to_table([], self.plan.schema), "error_rate", len(self.seeds), {})

    async def _waves(self) -> tuple[Outcome, Stop, int]:
        ends, found, n = [0], Outcome(), 0
        while True:
            ends.append(next_wave(self.recipe, ends[-1], len(self.seeds), n, found.tokens))
            spans = enumerate(pairwise(ends))
            wave_of = {row["id"]: wave for wave, (i, j) in spans for row in self.seeds[i:j]}
            found = await self._pass(self.seeds[: ends[-1]], 0, len(ends) - 1, wave_of, None)
            n, last = self.marks.count(found.rows), ends[-1] == len(self.seeds)
            if stop := stop_after(self.recipe, n, found.tokens, is_last=last):
                return found, stop, ends[-1]

    async def _rounds(self) -> tuple[Outcome, Stop, int]:
        assert self.recipe.rounds
        total, uses = Outcome(), self.plan.uses
        asking = [u.label for u in uses if u.folder == "generators" and u.stage.needs()]
        for number in range(self.recipe.rounds.n):
            if number and (role := self.recipe.rounds.train):
                await self._train(role, number, total)
            seeds, pool = born(self.seeds, number), to_table(total.rows, self.plan.schema)
            one = await self._pass(seeds, number, number + 1, {}, pool)
            add(total.counts, one.counts)
            total.rows = sorted([*total.rows, *one.rows], key=canonical)
            total.tokens += one.tokens
            total.files += one.files
            total.state = digest(total.state, one.state)
            heard = any(total.counts[label]["asked"] for label in asking if label in total.counts)
            total.opening += bool(asking) and not heard
            n = self.marks.count(row for row in total.rows if row["round"] >= total.opening)
            last = number + 1 == self.recipe.rounds.n
            stop = stop_after(self.recipe, n, total.tokens, is_last=last)
            if stop := stop or stop_for_yield(self.recipe, len(seeds), len(one.rows)):
                break
        return total, stop or "seeds", len(self.seeds)

    async def _train(self, role: str, number: int, found: Outcome) -> None:
        """Train a role's model on the answers of all rows so far."""
        ranked = self.recipe.rounds.ranked if self.recipe.rounds else None
        pairs = [lesson(row, ranked) for row in found.rows]
        work = partial(retrain, role, self.roles, pairs, self.recipe.seed, self.runner.host)
        if trained := await self.step(f"{number:02d} train {role}", work):
            found.tokens += trained.tokens
            add(found.counts, {"rounds.train": Counter(asked=1)})

    async def _pass(
        self,
        rows: list[Row],
        number: int,
        wave: int,
        wave_of: Mapping[str, int],
        pool: pa.Table | None,
    ) -> Outcome:
        """Take rows through every unit."""
        found = self._found = Outcome(rows=rows)
        identities = {role: client.identity for role, client in self.roles.items()}
        found.state = digest(self.plan.code, identities, *self.marks.state)
        for i, uses in enumerate(self.plan.units):
            unit = f"{number:02d}-{i:02d}"
            how = self._barrier if uses[0].is_barrier else self._rows
            self.meter.enter(" + ".join(use.label for use in uses), wave, len(found.rows))
            seed, types, marks = self.recipe.seed, self.plan.types, self.marks.overruling
            what = Unit(uses, seed, types, self.roles, number, pool, marks)
            before = found.rows
            shards = await self._step(unit, what, before, how, wave_of, found.state, wave)
            self._gather(found, shards)
            found.saw(uses[0], before)
            self._check_failures(uses, found.counts, fewest=FEW)
            self.meter.kept = len(found.rows)
        return found

    async def _step(
        self, unit: str, what: Unit, rows: list[Row], how: Any,
        wave_of: Mapping[str, int], state: str, wave: int = 1,
    ) -> Any:  # fmt: skip
        """Run one unit of work by the name that an orchestrator shows."""
        name = f"{unit} wave {wave}: {' + '.join(use.label for use in what.uses)}"
        return await self.step(name, partial(how, unit, what, rows, wave_of, state))

    async def _rows(
        self, unit: str, what: Unit, rows: list[Row], wave_of: Mapping[str, int], state: str
    ) -> dict[str, Shard]:
        """Run a fused unit over the shards that are not finished.

        A finished shard stands for its rows only where `state` is the same: the code, and what
        the barriers before saw.
        """
        pool = "" if what.pool is None else digest(what.pool["id"].to_pylist())
        shards = {
            _file(unit, [row["id"] for family in part for row in family], pool, state): part
            for part in cut(rows, self.runner.rows_per_shard, wave_of)
        }
        done = {key: shard for key in shards if (shard := Shard.read(self.path / key))}
        todo = {key: part for key, part in shards.items() if key not in done}
        self.runner.done += sum(len(f) for key in done for f in shards[key])
        self._under_way = done
        counts: Counts = {}
        async with aclosing(self.runner.map(what, todo)) as finished:
            async for key, shard in finished:
                await asyncio.to_thread(self._write, shard, key)
                done[key] = shard
                add(counts, shard.counts)
                self._check_failures(what.uses, counts, fewest=FEW)
        log.info(
            "unit=%s rows=%d shards=%d reused=%d", unit, len(rows), len(done), len(done) - len(todo)
        )
        return done

    async def _barrier(
        self, unit: str, what: Unit, rows: list[Row], wave_of: Mapping[str, int], state: str
    ) -> dict[str, Shard]:
        """Let a table stage decide on all rows so far."""
        pool = [] if what.pool is None else what.pool["id"].to_pylist()
        key = _file(unit, [row["id"] for row in rows], state, pool)
        if rows and not (shard := Shard.read(self.path / key)):
            shard = Shard()
            for row in await what.decide(0, rows, shard):
                shard.end(row, "kept", what.uses[0].label)
            await asyncio.to_thread(self._write, shard, key)
        self.runner.done += len(rows)
        return {key: shard} if rows and shard else {}

    def _gather(self, found: Outcome, shards: Mapping[str, Shard]) -> None:
        found.rows = sorted((row for s in shards.values() for row in s.kept()), key=canonical)
        found.take_all(shards)
        self._under_way = {}

    def _cut(self, found: Outcome) -> list[Row]:
        """Keep the first rows in canonical order, up to the target, without those marked to go."""
        kept, shard, wanted = list[Row](), Shard(), self.recipe.target
        left, opening = wanted or len(found.rows), found.opening
        for row in found.rows:
            if (note := self.marks.note_against(row)) is not None:
                shard.end(row, "rejected", "target", code=DROPPED, detail=note)
            elif not left and row["round"] >= opening:
                shard.end(row, "rejected", "target", code="over_target", detail=f"target {wanted}")
            else:
                shard.end(row, "kept", "target")
                kept.append(row)
                left -= row["round"] >= opening
        n, total = len(kept), len(found.rows)
        shard.count("target", in_=total, entered_ok=n, rejected=total - n, made=n, kept=n)
        file = "shards/target/target.parquet"
        self._write(shard, file)
        found.take_all({file: shard})
        return kept

    def _write(self, shard: Shard, file: str) -> None:
        shard.write(self.path / file, self.plan.shard_schema, canonical)

    def _check_failures(self, uses: Sequence[Use], counts: Counts, fewest: int) -> None:
        files = [self.path / name for name in [*self._found.files, *self._under_way]]
        check_failures(uses, counts, self.recipe.max_error_rate, fewest, files)


def _file(unit: str, *named: Any) -> str:
    """Return the name of a shard below the run's folder: its unit, and what decides its rows."""
    return f"shards/{unit}/{digest(*named)}.parquet"
