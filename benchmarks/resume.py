"""kill -9 a run again and again: what is lost, what is repeated, and how fast it replays.

    python benchmarks/resume.py [--kills 100] [--seeds 1000] [--quick] [--json]

The model is a scripted server in a process of its own; its log is the judge. Kills by time are
uniform over the calls of the run; others fall on an answer's write, before and after a rename,
inside a table stage and inside the export. The killed workspace must end with the bytes of an
undisturbed one. A call is repeated when its answer was committed before the kill; a call in
flight at a kill is counted apart. A quarter of an hour on two cores; --quick, under a minute, kills
a run of 100 seeds 5 times. The rates are those of 1,000 seeds also there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from telling import machine, tell

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "benchmarks" / "kill_votes.yaml"
EVENTS = [
    ("answer_written", 1), ("answer_written", 7), ("rename", 1), ("rename_done", 1),
    ("table_stage", 1), ("rename", 2), ("rename_done", 2), ("selector", 1), ("rename", 3),
    ("rename_done", 3), ("export", 1), ("rename", 5),
]  # fmt: skip
"""Kills by event: what happens, and at which time it happens the process dies.

In the order of a run, because a finished shard is never decided or written again.
"""
FEW_EVENTS = [EVENTS[i] for i in (0, 4, 10)]
IN_FLIGHT = 16
"""Calls on the wire at once, as the recipe has it."""


@dataclass
class Outcome:
    """What a row of kills did."""

    calls: int = 0
    """Different calls of the undisturbed run."""
    kills: int = 0
    kills_inside: int = 0
    """After the first call and before the last."""
    timed: int = 0
    """Those that fell by time, not on an event."""
    timed_inside: int = 0
    """Those of them that met a run between two calls of its own, start and end left out."""
    positions: list[int] = field(default_factory=list)
    """Calls finished at each kill."""
    events: list[str] = field(default_factory=list)
    rows_lost: int = 0
    rows_duplicated: int = 0
    calls_repeated: int = 0
    in_flight_repeated: int = 0
    is_identical: bool = False
    """Whether dataset, exports and ledger are those of the undisturbed run, byte for byte."""


class Place:
    """A server with its log, seeds, and two workspaces."""

    def __init__(self, folder: Path, n_seeds: int, delay_s: float) -> None:
        self.folder, self.log = folder, folder / "calls.log"
        self._calls: list[str] = []
        self._read = 0
        folder.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({"instruction": f"Explain topic {i}."}) for i in range(n_seeds)]
        (folder / "seeds.jsonl").write_text("\n".join(lines))
        server = ROOT / "tools" / "scripted_server.py"
        self.server = subprocess.Popen(
            [sys.executable, str(server), str(self.log), str(delay_s)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.server.stdout
        self.port = int(self.server.stdout.readline())

    def start(self, workspace: str, event: str = "none", n: int = 0) -> subprocess.Popen[bytes]:
        """Start a run in a process group of its own."""
        child = [sys.executable, str(ROOT / "tools" / "kill_child.py"), event, str(n)]
        command = [
            *child, "run", str(RECIPE), "--local", "--no-prefect", "--json",
            "--input", str(self.folder / "seeds.jsonl"),
            "--workspace", str(self.folder / workspace),
            "--set", f"engines.generator.base_url=http://127.0.0.1:{self.port}/v1",
        ]  # fmt: skip
        path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        with (self.folder / "out").open("a") as out:
            return subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, "PYTHONPATH": path},
            )  # fmt: skip

    def calls(self) -> list[str]:
        """Return the keys that the server answered, in order."""
        if self.log.exists():
            with self.log.open() as lines:
                lines.seek(self._read)
                new = lines.read()
            self._read += len(new)
            self._calls += new.split()
        return self._calls

    def run_dir(self, workspace: str) -> Path:
        """Return the only run of a workspace."""
        (found,) = (self.folder / workspace / "runs").iterdir()
        return found

    def finish(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for a run that nobody kills."""
        if code := process.wait(600):
            said = (self.folder / "out").read_text()[-3000:]
            raise RuntimeError(f"the run ended with {code}:\n{said}")


def committed(workspace: Path) -> set[str]:
    """Return the keys that a workspace's store holds."""
    path = workspace / ".gristmill" / "answers.sqlite"
    if not path.exists():
        return set()
    with closing(sqlite3.connect(path)) as reader:
        if not reader.execute("SELECT name FROM sqlite_master").fetchone():
            return set()
        return {key for (key,) in reader.execute("SELECT key FROM answers")}


def kill_again_and_again(
    place: Place, kills: int, seed: int, events: list[tuple[str, int]] = EVENTS
) -> Outcome:
    """Run once undisturbed, then once with kills, and compare."""
    place.finish(place.start("whole"))
    before = len(place.calls())
    done = Outcome(calls=len(set(place.calls())))
    rng = random.Random(seed)
    # The last calls end together; what comes after them is met by the events.
    end = done.calls - 2 * IN_FLIGHT
    moments: list[Any] = sorted(rng.uniform(0, end) for _ in range(kills))
    third, half = len(events) // 3, kills // 2
    for moment in [*moments[:half], *events[:third], *moments[half:], *events[third:], None]:
        _start_again(place, done, moment, before, rng)
    times = Counter(place.calls()[before:])
    done.in_flight_repeated = sum(times.values()) - len(times)
    _compare(place, done)
    return done


def _start_again(place: Place, done: Outcome, moment: Any, before: int, rng: Any) -> None:
    """Start the killed run again, and kill it by time or by event; None lets it end."""
    stored, seen = committed(place.folder / "killed"), len(place.calls())
    event = moment if isinstance(moment, tuple) else ("none", 0)
    started = place.start("killed", *event)
    if isinstance(moment, float):
        _kill_at(place, started, before, max(moment, len(set(place.calls()[before:])) + 1), rng)
    if moment is None:
        place.finish(started)
    code = started.wait(600)
    done.calls_repeated += len(stored & set(place.calls()[seen:]))
    if code != -signal.SIGKILL:
        return
    finished = len(set(place.calls()[before:]))
    done.kills += 1
    done.positions.append(finished)
    done.kills_inside += 0 < finished < done.calls
    if isinstance(moment, tuple):
        done.events.append(f"{moment[0]} {moment[1]}")
    else:
        done.timed += 1
        done.timed_inside += len(place.calls()) > seen and finished < done.calls


def _kill_at(
    place: Place, run: subprocess.Popen[bytes], before: int, moment: float, rng: Any
) -> None:
    """Kill the group once so many calls are finished, or the run with it."""
    while run.poll() is None and len(set(place.calls()[before:])) < moment:
        time.sleep(0.005)
    time.sleep(rng.uniform(0, 0.02))
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGKILL)


def _compare(place: Place, done: Outcome) -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    import pyarrow.parquet as pq
    from audit import audit

    whole, killed = place.run_dir("whole"), place.run_dir("killed")
    if wrong := audit(whole) + audit(killed):
        raise RuntimeError(f"the ledger is wrong: {wrong[:5]}")
    ids = [
        Counter(pq.read_table(run / "dataset" / "data", columns=["id"])["id"].to_pylist())
        for run in (whole, killed)
    ]
    done.rows_lost = sum((ids[0] - ids[1]).values())
    done.rows_duplicated = sum((ids[1] - ids[0]).values())
    names = [
        path.relative_to(whole)
        for folder in ("data", "exports")
        for path in (whole / "dataset" / folder).rglob("*")
        if path.is_file()
    ]
    stages = [json.loads((run / "ledger.json").read_text())["stages"] for run in (whole, killed)]
    done.is_identical = stages[0] == stages[1] and all(
        (whole / name).read_bytes() == (killed / name).read_bytes() for name in names
    )


def replay_rates(n_seeds: int) -> dict[str, float]:
    """Return answers per second of processor time, cold and replayed, with an instant engine."""
    from gristmill import Recipe, run

    rules = [[r"(?s).*### Base instruction\n(.*)\n\n### \w+ instruction$", r"\1 {draw}"],
             ["### Same or different$", "different"], [".*", "So {draw}"]]  # fmt: skip
    recipe = Recipe.load(RECIPE, ["engines.generator={use: scripted}", "export.card=false"])
    recipe.engines["generator"]["rules"] = rules
    seeds = [{"instruction": f"Explain topic {i}."} for i in range(n_seeds)]
    folder, rates = Path(tempfile.mkdtemp()), {}
    for arm in ("cold", "replayed"):
        start = time.process_time()
        note = run(recipe, seeds, workspace=folder).note
        spent = time.process_time() - start
        rates[arm] = sum(note["calls"].values()) / spent
        shutil.rmtree(folder / "runs")
    shutil.rmtree(folder)
    return rates


@contextmanager
def place(folder: Path, n_seeds: int, delay_s: float = 0.004) -> Any:
    """Open a place and end its server."""
    opened = Place(folder, n_seeds, delay_s)
    try:
        yield opened
    finally:
        opened.server.kill()
        opened.server.communicate()


def main() -> None:
    """Print what happened; with --json the last line is one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="by time; 12 more fall on events")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the kills' times")
    parser.add_argument("--quick", action="store_true", help="5 kills of 100 seeds, one arm")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    args = parser.parse_args()
    kills, n_seeds, arms = (2, 100, 1) if args.quick else (args.kills, args.seeds, 5)
    with tempfile.TemporaryDirectory() as folder, place(Path(folder), n_seeds) as here:
        events = FEW_EVENTS if args.quick else EVENTS
        done = kill_again_and_again(here, kills, args.seed, events)
    pairs = [replay_rates(1000) for _ in range(arms)]
    ratios = sorted(pair["replayed"] / pair["cold"] for pair in pairs)
    rates = sorted(pair["replayed"] for pair in pairs)
    sys.stdout.write(
        f"{machine('httpx', 'pyarrow', 'orjson')}; killed: {n_seeds} seeds, {IN_FLIGHT} calls in "
        f"flight, 4 ms each; rates: 1,000 seeds, {arms} alternating arms, processor time\n"
    )
    result = {
        "name": "resume", "ratio": round(ratios[len(ratios) // 2], 3), "unit": "answers/s per core",
        "baseline": "the same recipe, cold, with an engine that answers at once",
        "replay_rate": round(rates[len(rates) // 2]), "ratios": [round(r, 3) for r in ratios],
        **asdict(done),
    }  # fmt: skip
    tell(result, as_json=args.json)


if __name__ == "__main__":
    main()
