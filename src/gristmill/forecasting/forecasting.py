"""Run a sample until it says enough, and predict what the whole recipe takes and gives."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gristmill.engines.host import WINDOW
from gristmill.engines.lanes import available_cpus
from gristmill.engines.progress import Progress
from gristmill.forecasting.measuring import Clock, grows, slowness
from gristmill.forecasting.predicting import Numbers, Range, between, draw_runs, range_of
from gristmill.forecasting.sampling import Found, find, first
from gristmill.pipelines.outcome import Result
from gristmill.pipelines.recipe import Budget, Recipe
from gristmill.pipelines.runners import LocalRunner
from gristmill.pipelines.workspace import Prepared, execute
from gristmill.publishing.housekeeping import forecast_of
from gristmill.text.plurals import counted

FIRST, MOST, ENOUGH = 10, 0.05, 0.25
"""Seeds to begin with; the share of seeds, target or budget to spend; the half-width to reach."""
PATH_RATE = (5000.0, 800.0)
"""Answers per second that a driver handles, fast and slow: benchmarks/path_throughput.py."""
SAME = (0.95, 1.25)
"""Of the sample's memory, before rows: runs of the demo model held 1.07 and 1.17 times as much."""
FILES = (0.92, 1.02)
"""Of what lines and rows take in files: 1,500 rows held 0.95 to 0.97 of what 40 to 300 foretold."""
START = (0.25, 1.5)
"""Of what engines took to load: with their libraries in memory 7 s, and 63 s from a busy disk."""
MEMORY = (0.5, 2.0)
"""Of what all lines take as rows: a pass holds those of some units, and some of them twice."""


@dataclass(frozen=True)
class Forecast:
    """What a run will take and give."""

    sampled: int
    n_seeds: int
    figures: dict[str, tuple[Range, str]]
    """Range and unit, by name."""
    notes: list[str]
    devices: int
    """GPUs, or engine processes without one, that the run holds."""


@dataclass
class Sampler:
    """Runs the first seeds of a recipe, in a folder of its own, over the workspace's answers."""

    prepared: Prepared
    workspace: Path
    runner: Callable[[], LocalRunner]
    tell: Callable[[Progress], None] | None = None
    loads: tuple[float, ...] = field(default_factory=os.getloadavg)
    """Processes that others keep busy, on average of the last 1, 5 and 15 minutes."""

    @property
    def file(self) -> Path:
        """Where the forecast is kept: in the folder of the sample's run."""
        return forecast_of(self.workspace, self.prepared.name)

    def run(self, clock: Clock, folder: Path, rows_per_shard: int | None = None) -> Result:
        """Run the clock's seeds without a target; of rounds that train, only the first."""
        recipe = self.prepared.recipe
        rounds = None if recipe.rounds and recipe.rounds.train else recipe.rounds
        recipe = recipe.model_copy(update={"target": None, "budget": Budget(), "rounds": rounds})
        few = replace(self.prepared, recipe=recipe, seeds=first(self.prepared.seeds, clock.n))
        runner = self.runner()
        runner.rows_per_shard = rows_per_shard or runner.rows_per_shard
        return execute(few, runner, self.workspace, folder=folder, step=clock.step, progress=clock)

    def grow(self) -> tuple[Found, list[Clock]]:
        """Run more and more seeds until rows and tokens have narrow ranges, or enough is spent."""
        recipe, seeds = self.prepared.recipe, self.prepared.seeds
        store = self.workspace / ".gristmill" / "answers.sqlite"
        n, clocks = min(FIRST, len(seeds.rows)), list[Clock]()
        while True:
            clocks.append(Clock(n, self.tell))
            note = self.run(clocks[-1], self.file.parent, rows_per_shard=1).note
            found = find(self.file.parent, note, self.prepared.plan, sorted(seeds.ids)[:n], store)
            n_seeds = len(seeds.rows)
            is_enough = is_narrow(recipe, found, n_seeds)
            more = n if is_enough else larger(recipe, found, n_seeds)
            if sum(note["calls"].values()) and not any(clock.rate for clock in clocks):
                more = max(more, min(n + FIRST, n_seeds))  # all was stored: how fast is it?
            if more <= n:
                return found, clocks
            n = more


def is_narrow(recipe: Recipe, found: Found, n_seeds: int) -> bool:
    """Say whether the ranges of tokens and rows are; of what none was seen nothing is known."""
    totals, sample = draw_runs(recipe, found.sample, n_seeds).totals, found.sample
    rows = np.minimum(totals[:, sample.rows], recipe.target or np.inf)
    tokens = totals[:, sample.tokens]
    ranges = [range_of(rows), *([range_of(tokens)] if tokens.any() else [])]
    return all(one.expected and one.half_width < ENOUGH for one in ranges)


def larger(recipe: Recipe, found: Found, n_seeds: int) -> int:
    """Return how many seeds the next sample may have: twice as many, within what may be spent."""
    sample, aims = found.sample, (recipe.target, recipe.budget.tokens)
    n: int = sample.figures.shape[1]
    spent = sample.figures.sum(axis=(0, 1))
    shares = [spent[at] / aim for at, aim in zip((sample.rows, sample.tokens), aims, strict=True)
              if aim] or [n / n_seeds]  # fmt: skip
    most = math.floor(n * MOST / max(shares)) if max(shares) else 2 * n
    return min(2 * n, most, n_seeds)


def forecast(sampler: Sampler) -> Forecast:
    """Run a sample and predict the run after it."""
    found, clocks = sampler.grow()
    prepared, n = sampler.prepared, clocks[-1].n
    own = Clock(n)
    with tempfile.TemporaryDirectory(dir=sampler.workspace / ".gristmill") as scratch:
        sampler.run(own, Path(scratch) / "run")  # a replay: only what is ours
        size, of_lines, of_rows = grows(Path(scratch) / "run")
    drawn = draw_runs(prepared.recipe, found.sample, len(prepared.seeds.rows))
    whole = _by_name(found, drawn.totals, drawn.seeds / n)
    part = _by_name(found, found.sample.figures.sum(axis=(0, 1))[None], np.ones(1))
    scale = np.maximum(1.0, whole["lines"] / max(1.0, part["lines"][0]))
    rows, taken = _selected(whole["rows"], prepared), _selected(part["rows"], prepared)[0]
    # Every wave has files of its own, and writes what saw all rows at once again.
    more = of_lines * (scale - 1) + of_rows * np.maximum(0, rows / max(1, taken) - 1)
    disk = size + between(*(more * share for share in FILES))
    memory = found.memory_bytes * (scale - 1)
    base = np.full(len(scale), float(clocks[0].peak_bytes))
    peak = between(base * SAME[0], base * SAME[1]) + between(*(memory * m for m in MEMORY))
    figures = {
        "seeds": (_counts(drawn.seeds), "seeds"),
        "rows": (_counts(rows), "rows"),
        "answers": (_counts(whole["answers"]), "answers"),
        "tokens": (_counts(whole["tokens"]), "tokens"),
        "read": (_counts(whole["tokens"] - whole["written"]), "tokens"),
        "written": (_counts(whole["written"]), "tokens"),
        "disk_bytes": (
            range_of(between(disk, disk * drawn.waves) + whole["answer_bytes"]),
            "bytes",
        ),
        "peak_bytes": (range_of(peak), "bytes"),
        **{name: (_counts(whole[name]), "rows") for name in found.names if " " in name},
    }
    held = devices(prepared)
    work = "tokens" if part["tokens"][0] else "answers"
    engines = _engines_s(whole[work] - part[work], clocks, prepared)
    if engines is not None:
        wall = engines + _own_s(whole["answers"], own, scale, drawn.waves, prepared)
        wall *= between(*(np.full(len(wall), x) for x in slowness(sampler.loads, available_cpus())))
        figures["wall_s"] = range_of(wall), "s"
        figures["engine_hours"] = range_of(wall * held / 3600), "h"
    return Forecast(n, len(prepared.seeds.rows), figures, list(_notes(prepared, found)), held)


def _by_name(found: Found, totals: Numbers, scale: Numbers) -> dict[str, Numbers]:
    """Return columns by name, with what stages asked that see all rows at once."""
    named = dict(zip(found.names, totals.T, strict=True))
    return named | {name: named[name] + more * scale for name, more in found.table.items()}


def _own_s(
    answers: Numbers, own: Clock, scale: Numbers, waves: Numbers, prepared: Prepared
) -> Numbers:
    """Return the seconds in which no engine works: per answer, per wave, and of whole tables.

    What a table takes grows with its rows at most, or hardly; a sample cannot tell.
    """
    tables = [use.label for use in prepared.plan.uses if use.is_barrier]
    table_s = np.full(len(answers), sum(own.unit_s[name] for name in tables))
    idle_s = own.wall_s - own.start_s - own.busy_s  # what is never stored is asked again
    fixed_s = np.maximum(0.0, idle_s - table_s)
    parts = between(fixed_s, fixed_s * waves) + between(table_s, table_s * scale)
    total: Numbers = parts + between(*(answers / rate for rate in PATH_RATE))
    return total


def _engines_s(left: Numbers, clocks: list[Clock], prepared: Prepared) -> Numbers | None:
    """Return the seconds in which engines load and make what the sample has not; None unknown.

    As slow as the largest command on the sample that asked at all (smaller ones mostly warm up), or
    as fast as the fastest with its requests in flight raised to what the run will have: how much
    that gains only the run itself can tell.
    """
    paces = [(rate, clock) for clock in clocks if (rate := clock.rate)]
    if not paces:
        return None if left.any() else np.zeros(len(left))
    more = len(prepared.seeds.rows) / clocks[-1].n
    room = max(windows(prepared), default=1)
    fast = max(
        rate * max(1.0, min(room, clock.in_flight * more) / clock.in_flight)
        for rate, clock in paces
    )
    slow = min(fast, paces[-1][0])
    starts = [clock.start_s for _, clock in paces]
    edges = min(starts) * START[0], max(starts) * START[1]
    start = between(*(np.full(len(left), edge) for edge in edges))
    total: Numbers = start + between(left / fast, left / slow)
    return total


def windows(prepared: Prepared) -> Iterator[int]:
    """Yield how many requests the engines take at a time, each with its replicas."""
    for engine in {id(e): e for e in prepared.engines.values()}.values():
        yield int(getattr(engine, "window", WINDOW)) * int(getattr(engine, "replicas", 1))


def devices(prepared: Prepared) -> int:
    """Return how many GPUs, or engine processes without one, the run holds until it ends."""
    hosted = {id(e): e for e in prepared.engines.values() if e.hosted}.values()
    sizes = [(getattr(e, "replicas", 1), getattr(e, "tensor_parallel_size", 1)) for e in hosted]
    return sum(int(replicas) * int(size) for replicas, size in sizes)


def _counts(draws: Numbers) -> Range:
    """Return a range of whole numbers, rounded outwards."""
    found = range_of(draws)
    return Range(
        float(np.floor(found.low)), float(round(found.expected)), float(np.ceil(found.high))
    )


def _selected(rows: Numbers, prepared: Prepared) -> Numbers:
    """Return the rows of the dataset: those of the target, then what trailing selectors keep."""
    sizes = [
        prepared.recipe.target,
        *(getattr(u.stage, "k", None) for u in prepared.plan.selectors),
    ]
    for size in filter(None, sizes):
        rows = np.minimum(rows, size)
    return rows


def _notes(prepared: Prepared, found: Found) -> Iterator[str]:
    """Yield what the forecast does not cover."""
    recipe, uses = prepared.recipe, prepared.plan.uses
    if tables := [use.label for use in uses if use.is_barrier]:
        yield (
            f"{', '.join(tables)}: they see all rows at once; the share that they keep of a sample "
            "is taken for theirs of all, less what filters find like other seeds' rows, and their "
            "time as growing with the rows at most"
        )
    if any(found.table.values()):
        asked = counted(found.table["answers"], "answer")
        tokens = counted(found.table["tokens"], "token")
        yield f"they asked {asked} of {tokens}: taken as growing with the seeds"
    if recipe.rounds and recipe.rounds.train:
        yield "rounds train: later ones are taken for the first, and training is not counted"
    elif recipe.rounds:
        yield "rounds: their pools grow with all seeds, those of the sample with its own"
    if not found.sample.figures[:, :, found.sample.rows].any():
        yield "no row of the sample was kept: its yield is a guess"
    yield (
        "wall time takes this machine for as busy as it was in the last quarter of an hour; memory "
        "is the driver's, not engines'"
    )
