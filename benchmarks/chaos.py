"""Things die at random under runs on a Ray cluster: what is lost, doubled, or judged otherwise?

    python benchmarks/chaos.py [--rounds 50] [--seed 0] [--quick] [--json]

One real Ray cluster of three machines on this one: a head, and two that have a sandbox with real
isolation each. Two engines in actors, each with a process of its own, as vLLM has; a worker.
In each round a run of 60 seeds, two programs each, is struck twice: an engine's process killed,
stopped (it hangs) or out of memory, an actor or a worker killed or stopped, a sandbox's process, a
whole machine, or the driver, which is then started again. What falls, when and whom is drawn from
the seed; a fifth falls before the first call. Each round must end with the dataset and the ledger
of the undisturbed run, byte for byte. `ratio` is the median of seconds of a round over those of the
undisturbed run.
Ten minutes for 50 rounds on two quiet cores.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from resume import committed
from telling import machine, tell

ROOT = Path(__file__).parents[1]
FOLDERS = [str(ROOT / name) for name in ("tools", "src")]
sys.path[:0] = FOLDERS

from audit import audit  # noqa: E402
from chaos_driver import PER_SEED, SEEDS  # noqa: E402

log = logging.getLogger(__name__)
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}
QUICK = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}
HEAD = {**NODE, "num_cpus": 0, "include_dashboard": False, "_system_config": QUICK}
SIGNALLED = {
    "engine": "cat -u",
    "engine hangs": "cat -u",
    "actor": "ray::Host",
    "actor hangs": "ray::Host",
    "worker": "ray::Palm",
    "worker hangs": "ray::Palm",
    "sandbox": "gristmill.engines.sandbox.serve",
}
"""What falls by a signal, and what the command line of such a process says."""
KINDS = (*SIGNALLED, "memory", "node", "driver")
PATIENCE_S = 240.0
"""How long nothing that is waited for may happen."""


class Driver:
    """A process that drives; it lives until it is killed."""

    def __init__(self, folder: Path, address: str) -> None:
        self.said = folder / "said"
        code = f"import chaos_driver as c; c.drive(c.Path({str(folder)!r}), {address!r})"
        with self.said.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    def begin(self, place: Path) -> None:
        """Let it run the recipe in a folder."""
        assert self.process.stdin
        self.process.stdin.write(f"{place}\n".encode())
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it and all that it started itself."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


@dataclass
class Outcome:
    """What the rounds did."""

    rounds: int = 0
    faults: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    rows_lost: int = 0
    rows_duplicated: int = 0
    ledgers_wrong: int = 0
    rounds_identical: int = 0
    """Dataset and ledger as of the undisturbed run, byte for byte."""
    calls_repeated: int = 0
    """Answers made again that the store had when something died."""
    in_flight_repeated: int = 0
    """Answers made again that were under way then."""
    seconds: list[float] = field(default_factory=list)
    """Of a run that starts the engines, of one undisturbed, then of each round."""


class Chaos:
    """A cluster, a folder for the runs, and what strikes them."""

    def __init__(self, cluster: Any, folder: Path, seed: int) -> None:
        self.cluster, self.folder, self.rng = cluster, folder, random.Random(seed)
        self.done, self.before = Outcome(), 0
        self.driver = Driver(folder, cluster.address)

    def round(self, name: str, kinds: list[str]) -> Path:
        """Run once while these things happen; return the run's folder."""
        self.place, started = self.folder / name, time.monotonic()
        self.place.mkdir()
        self.before += len(self.calls())
        self.struck, self.stored = list[str](), list[tuple[set[str], int]]()
        self.driver.begin(self.place)
        moments = sorted(self.rng.uniform(-0.2, 0.9) * SEEDS * PER_SEED for _ in kinds)
        for kind, moment in zip(kinds, moments, strict=True):
            if self._until(lambda at=moment: len(self.calls()) > at):
                self._strike(kind)
        self._until(lambda: False)
        self.done.seconds.append(round(time.monotonic() - started, 1))
        log.info("%s struck=%s seconds=%s", name, self.struck, self.done.seconds[-1])
        (run,) = (self.place / "runs").iterdir()
        return run

    def calls(self) -> list[str]:
        """Return the keys that engines answered in this round, in order."""
        file = self.folder / "calls"
        return file.read_text().split()[self.before :] if file.exists() else []

    def _until(self, holds: Callable[[], bool]) -> bool:
        """Wait until something holds; False when the run ends first."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            if (self.place / "done").exists():
                return False
            if self.driver.process.poll() is not None or time.monotonic() > deadline:
                said = self.driver.said.read_text(errors="replace")[-6000:]
                raise RuntimeError(f"{self.place.name} did not end after {self.struck}:\n{said}")
            time.sleep(0.02)
        return True

    def _strike(self, kind: str) -> None:
        """Let one thing happen, if its victim comes before the run ends."""
        self.stored.append((committed(self.place), len(self.calls())))
        found: list[psutil.Process] = []
        if kind == "driver":
            self.driver.kill()
            self.driver = Driver(self.folder, self.cluster.address)
            self.driver.begin(self.place)
        elif kind == "memory":
            (self.folder / "memory").touch()
        elif kind == "node":
            nodes = [node for node in self.cluster.list_all_nodes() if not node.head]
            self.cluster.remove_node(self.rng.choice(nodes), allow_graceful=False)
            self.cluster.add_node(**NODE)
        elif self._until(lambda: bool(found.extend(self._victims(kind)) or found)):
            one = self.rng.choice(sorted(found, key=lambda process: process.pid))
            one.send_signal(signal.SIGSTOP if kind.endswith("hangs") else signal.SIGKILL)
        else:
            return
        self.struck.append(kind)
        self.done.faults[kind] += 1

    def _victims(self, kind: str) -> Iterator[psutil.Process]:
        """Yield the processes of this cluster that a kind may hit."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                if SIGNALLED[kind] in " ".join(process.cmdline()):
                    yield process

    def _processes(self) -> Iterator[psutil.Process]:
        for node in self.cluster.list_all_nodes():
            for raylet in node.all_processes.get("raylet", []):
                with suppress(psutil.NoSuchProcess):
                    yield from psutil.Process(raylet.process.pid).children(recursive=True)

    def compare(self, whole: Path, run: Path) -> None:
        """Count what differs between the undisturbed run and another."""
        import pyarrow.parquet as pq

        ids = [
            Counter(pq.read_table(one / "dataset" / "data", columns=["id"])["id"].to_pylist())
            for one in (whole, run)
        ]
        done, file = self.done, "dataset/data/train-00000-of-00001.parquet"
        done.rounds += 1
        done.rows_lost += sum((ids[0] - ids[1]).values())
        done.rows_duplicated += sum((ids[1] - ids[0]).values())
        ledgers = [json.loads((one / "ledger.json").read_text())["stages"] for one in (whole, run)]
        done.ledgers_wrong += bool(audit(run)) or ledgers[0] != ledgers[1]
        done.rounds_identical += (whole / file).read_bytes() == (run / file).read_bytes()
        made = self.calls()
        again = {i for keys, seen in self.stored for i in range(seen, len(made)) if made[i] in keys}
        done.calls_repeated += len(again)
        done.in_flight_repeated += len(made) - len(set(made)) - len(again)
        told = [f"{name} {value}" for name, value in asdict(done).items() if isinstance(value, int)]
        log.info("so far: %s", ", ".join(told))


@contextmanager
def opened() -> Iterator[Any]:
    """Start a cluster of three machines and end it."""
    import ray
    from ray.cluster_utils import Cluster

    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([*FOLDERS, before])
    ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args=HEAD)
    try:
        for _ in range(2):
            cluster.add_node(**NODE)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
        os.environ["PYTHONPATH"] = before


def rounds(n: int, seed: int, folder: Path) -> Outcome:
    """Run undisturbed, then n times with two faults each: every kind comes up as often."""
    with opened() as cluster:
        chaos = Chaos(cluster, folder, seed)
        drawn = [kind for _ in range(2 * n // len(KINDS) + 1) for kind in KINDS][: 2 * n]
        chaos.rng.shuffle(drawn)
        try:
            chaos.round("first", [])  # starts the engines: they outlive a run
            whole = chaos.round("whole", [])
            for i in range(n):
                chaos.compare(whole, chaos.round(f"round-{i}", drawn[2 * i : 2 * i + 2]))
        finally:
            chaos.driver.kill()
    return chaos.done


def main() -> None:
    """Print what happened; with --json the last line is one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of what falls, when and whom")
    parser.add_argument("--quick", action="store_true", help="five rounds: each kind once")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    args = parser.parse_args()
    logging.basicConfig(level="INFO", format="%(message)s")
    sys.stdout.write(f"{machine('ray', 'pyarrow')}; {SEEDS} seeds, {PER_SEED} programs each\n")
    with tempfile.TemporaryDirectory() as folder:
        done = rounds(5 if args.quick else args.rounds, args.seed, Path(folder))
    result = {
        "name": "chaos", "ratio": round(statistics.median(done.seconds[2:]) / done.seconds[1], 2),
        "unit": "seconds of a round over those of the undisturbed run",
        "baseline": "the undisturbed run", **asdict(done),
    }  # fmt: skip
    tell(result, as_json=args.json)


if __name__ == "__main__":
    main()
