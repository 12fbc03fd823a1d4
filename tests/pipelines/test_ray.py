"""The Ray runner gives the bytes of the local one, whatever the workers and their fate."""

import asyncio
import json
import os
import random
import signal
from pathlib import Path

import psutil
import pytest
from audit import audit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gristmill import Recipe, run
from gristmill.engines import cluster
from gristmill.engines.workers import Hand, WorkerLost
from gristmill.errors import TooManyErrors
from gristmill.pipelines.runners import LocalRunner, RayRunner

DATA = Path(__file__).parents[1] / "data"

pytestmark = pytest.mark.slow


def bytes_of(result):
    return (result.folder / "data" / "train-00000-of-00001.parquet").read_bytes()


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    workers=st.integers(0, 2),
    rows_per_shard=st.integers(1, 12),
    in_flight=st.integers(1, 30),
    shuffled=st.permutations(range(14)),
)
def test_workers_shards_and_order_never_change_a_byte(
    workers, rows_per_shard, in_flight, shuffled, recipe, engine, seeds, tmp_path_factory
) -> None:
    def once(rows, runner, delay_s):
        path = tmp_path_factory.mktemp("run")
        made = run(
            recipe("target=9"), rows, {"generator": engine(max_delay_s=delay_s)}, runner, path
        )
        assert audit(made.path) == []
        return bytes_of(made), made.ledger

    rows = seeds(14)
    runner = RayRunner(workers, rows_per_shard=rows_per_shard, in_flight=in_flight)
    assert once([rows[i] for i in shuffled], runner, 0.002) == once(rows, LocalRunner(), 0)


RULES = ("length", "quality", "script", "injection", "personal_data", "secrets", "language")
COMPARING = ("exact_duplicates", "near_duplicates", "rouge_novelty", "same_names")
TINY = {"benchmarks": ["tiny"], "registry": str(DATA / "benchmarks.json")}
INDEXED = (
    {"use": "filters.contamination", **TINY},
    {"use": "filters.copied_examples", "examples": str(DATA / "tiny_benchmark.jsonl")},
    {"use": "scorers.embedding", "fields": ["instruction"]},
    {"use": "filters.semantic_contamination", **TINY, "threshold": 0.98},
    {"use": "filters.semantic_duplicates", "threshold": 0.995},
)


@pytest.mark.parametrize("workers", [1, 2])
def test_filters_keep_the_same_rows_on_any_number_of_workers(workers, engine, tmp_path) -> None:
    rng, known = random.Random(3), [f"{'aeionrst'[i % 8]}word{i}" for i in range(300)]
    asked = [" ".join(rng.choices(known, k=30)) for _ in range(40)]
    asked += [*asked[:4], *(f"{text} more" for text in asked[4:8])]
    asked += [text.replace(" ", " or ", 9) for text in asked[8:12]]
    said = [
        "An oak.",
        "<nooutput>",
        "Write to jo@mill.org.",
        "```\ndef oak(): pass\n```",
        "An elm.",
    ]
    lines = (DATA / "tiny_benchmark.jsonl").read_text().splitlines()
    asked += [json.loads(line)["prompt"] for line in lines]
    rows = [{"instruction": text, "output": said[i % 5]} for i, text in enumerate(asked)]
    uses = [*({"use": f"filters.{name}"} for name in (*RULES, *COMPARING)), *INDEXED]

    def once(given, runner):
        path = tmp_path / type(runner).__name__
        embedder = {"embedder": engine()}
        made = run(Recipe(name="filters", stages=uses), given, embedder, runner, path)
        assert audit(made.path) == []
        return bytes_of(made), made.ledger

    there = once(rows[::-1], RayRunner(workers, rows_per_shard=7, in_flight=3))
    assert there == once(rows, LocalRunner())
    codes = {code for line in there[1] for code in line["codes"]}
    expected = "no_output personal_data exact_duplicate near_duplicate not_novel same_names"
    assert codes == {*expected.split(), "contaminated", "semantic_duplicate"}
    assert there[1][-1]["kept"] == 8


def test_a_replay_starts_no_worker(recipe, engine, seeds, tmp_path) -> None:
    def once():
        runner = RayRunner(2, rows_per_shard=2, in_flight=2)
        started = []
        hand = runner._hand
        runner._hand = lambda: (started.append(1), hand())[1]  # type: ignore[method-assign]
        made = run(recipe(), seeds(40), {"generator": engine()}, runner, tmp_path)
        for shard in made.path.glob("shards/*/*.parquet"):
            shard.unlink()
        return bytes_of(made), bool(started)

    (first, cold), (second, warm) = once(), once()
    assert first == second
    assert cold
    assert not warm


@pytest.mark.parametrize(
    ("fault", "said"),
    [(signal.SIGKILL, "died unexpectedly"), (signal.SIGSTOP, "no sign of life for 15 s")],
)
def test_a_killed_or_stopped_worker_costs_nothing(
    fault, said, recipe, engine, seeds, tmp_path, caplog
) -> None:
    runner = RayRunner(1, rows_per_shard=3, in_flight=3, silence_s=15)
    killed = []

    async def kill_once() -> None:
        while not runner._hands:  # noqa: ASYNC110 - nothing announces a worker
            await asyncio.sleep(0.01)
        actor = runner._hands[0]._actor
        pid = await actor.pid.remote()
        await asyncio.sleep(0.05)
        killed.append(psutil.Process(pid))
        os.kill(pid, fault)

    async def step(name, work):
        killer = asyncio.create_task(kill_once())
        try:
            return await work()
        finally:
            killer.cancel()

    made = run(
        recipe(), seeds(40), {"generator": engine(max_delay_s=0.05)}, runner, tmp_path, step=step
    )
    plain = run(recipe(), seeds(40), {"generator": engine()}, LocalRunner(), tmp_path / "plain")
    assert killed
    assert said in caplog.text
    assert bytes_of(made) == bytes_of(plain)
    assert audit(made.path) == []
    for process in killed:
        process.wait(20)


def test_a_worker_that_was_gone_when_a_shard_came_gets_no_other() -> None:
    async def go() -> bool:
        hand = Hand()
        pid = await hand._actor.pid.remote()
        hand._pump.cancel()  # as if it had not heard yet
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerLost):
            await hand.run("shard", print, {})
        return hand.lost

    cluster.connect()
    try:
        assert asyncio.run(go())
    finally:
        cluster.release()


def test_an_error_on_a_worker_stops_the_run_like_one_here(recipe, engine, seeds, tmp_path) -> None:
    def broken(prompt: str, draw: int) -> str:
        raise ZeroDivisionError(prompt)

    runner = RayRunner(1, rows_per_shard=2, in_flight=2)
    with pytest.raises(TooManyErrors, match="rows failed"):
        run(recipe(), seeds(), {"generator": engine(answer=broken)}, runner, tmp_path)
