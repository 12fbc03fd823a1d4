"""What a barrier wrote may not outlive what it saw: not over waves, shard sizes or commands."""

from typing import Any

import pyarrow.parquet as pq
import pytest
from audit import audit

from gristmill import Recipe, run
from gristmill.engines.scripted import Scripted
from gristmill.errors import TooManyErrors
from gristmill.pipelines import LocalRunner
from gristmill.pipelines.waves import PROBE, next_wave
from gristmill.storage.ids import digest

SEEDS = [{"instruction": f"task {i} " + "x" * (i * 7 % 53), "output": "o"} for i in range(120)]
LONGEST = {"use": "selectors.longest", "k": 1000, "as": "ranked"}
BARE = {"card": False, "report": False}


class Flaky(Scripted):
    """Fails on some of the requests, the same ones every time."""

    async def generate(self, request: Any) -> Any:
        if digest(request.prompt).startswith("0"):
            raise ValueError("flaky")
        return await super().generate(request)


def made(stages: list[dict[str, Any]], **more: Any) -> Recipe:
    return Recipe.model_validate({"name": "waves", "stages": stages, "export": BARE, **more})


def ranks(result: Any) -> list[int]:
    return [row["picks"]["ranked"]["rank"] for row in result.dataset.to_pylist()]


@pytest.mark.parametrize("size", [1, 7])
def test_a_rank_is_that_of_the_last_wave_whatever_the_shard_size(tmp_path, size: int) -> None:
    recipe = made([LONGEST, {"use": "generators.responses", "n": 1}], target=90, max_error_rate=0.5)
    results = [
        run(recipe, SEEDS, {"generator": Flaky()}, LocalRunner(rows_per_shard=n), tmp_path / str(n))
        for n in (size, 1024)
    ]
    assert results[0].ledger[1]["failed"] > 0
    assert results[0].dataset.equals(results[1].dataset)
    assert len(set(ranks(results[0]))) == 90


@pytest.mark.parametrize("target", [None, 110])
def test_a_budget_is_passed_by_no_more_than_one_seed(tmp_path, target: int | None) -> None:
    # Six tokens a seed: three words in the prompt, three in the answer.
    recipe = made([{"use": "generators.responses", "n": 1}], target=target, budget={"tokens": 200})
    result = run(recipe, SEEDS, {"generator": Scripted()}, workspace=tmp_path)
    assert result.stop == "budget"
    assert 200 <= result.note["tokens"] < 200 + 6


def test_the_first_wave_under_a_budget_is_small_however_many_seeds_there_are() -> None:
    stages = [{"use": "generators.responses"}]
    assert next_wave(made(stages, target=900), 0, 10**6, 0, 0) == 10**5
    assert next_wave(made(stages, budget={"tokens": 9000}), 0, 10**6, 0, 0) == PROBE
    assert next_wave(made(stages, budget={"tokens": 9000}), 10, 10**6, 0, 0) == 10**5 + 10


def test_a_larger_target_gives_what_it_would_have_given_at_once(tmp_path) -> None:
    stages = [LONGEST, {"use": "filters.length", "min_chars": 1}]
    run(made(stages, target=40), SEEDS, workspace=tmp_path / "grown")
    grown = run(made(stages, target=100), SEEDS, workspace=tmp_path / "grown")
    at_once = run(made(stages, target=100), SEEDS, workspace=tmp_path / "at_once")
    assert grown.path.name == at_once.path.name
    assert grown.dataset.equals(at_once.dataset)


def test_a_row_stage_sees_the_column_that_the_last_wave_wrote(tmp_path) -> None:
    # The 31 longest, whichever wave: ranks of earlier waves would let more through.
    limit = {"use": "filters.score_range", "of": "picks.ranked.rank", "max": 30}
    result = run(made([LONGEST, limit], target=31), SEEDS, workspace=tmp_path)
    assert sorted(ranks(result)) == list(range(31))


def test_other_code_works_finished_shards_again(tmp_path, monkeypatch) -> None:
    recipe = made([{"use": "generators.responses", "n": 1}])
    first = run(recipe, SEEDS[:5], {"generator": Scripted()}, workspace=tmp_path)
    monkeypatch.setattr("gristmill.pipelines.plan.source_of", lambda _: "changed")
    again = run(recipe, SEEDS[:5], {"generator": Scripted()}, workspace=tmp_path)
    assert set(first.note["files"]) & set(again.note["files"]) == {"shards/target/target.parquet"}
    assert again.note["calls"] == {"made": 0, "replayed": 5}
    assert again.dataset.equals(first.dataset)


def test_one_failure_in_a_small_first_wave_stops_nothing_and_at_the_end_it_counts(tmp_path) -> None:
    class Once(Scripted):
        """Fails on one instruction, which is in the first wave."""

        async def generate(self, request: Any) -> Any:
            if request.prompt[-1]["content"] == bad:
                raise ValueError("flaky")
            return await super().generate(request)

    stages = [{"use": "generators.responses", "n": 1}]
    probe = run(made(stages, target=1), SEEDS, {"generator": Scripted()}, workspace=tmp_path / "p")
    bad = probe.dataset["instruction"][0].as_py()
    whole = run(made(stages, target=110), SEEDS, {"generator": Once()}, workspace=tmp_path / "a")
    assert whole.stop == "target"
    assert whole.ledger[0]["failed"] == 1
    with pytest.raises(TooManyErrors, match=r"1 of \d+ rows failed.*say: ValueError: flaky"):
        run(made(stages, target=20), SEEDS, {"generator": Once()}, workspace=tmp_path / "b")


def test_the_audit_sees_a_column_that_did_not_come_along(tmp_path) -> None:
    result = run(
        made([LONGEST, {"use": "filters.length", "min_chars": 1}]), SEEDS, workspace=tmp_path
    )
    assert audit(result.path) == []
    file = result.path / next(name for name in result.note["files"] if "/00-01/" in name)
    rows = pq.read_table(file)
    changed = rows.to_pylist()
    changed[3]["picks"]["ranked"]["rank"] += 1
    pq.write_table(rows.from_pylist(changed, schema=rows.schema), file)
    other = f"row {changed[3]['id']} has another picks.ranked"
    assert audit(result.path) == [f"unit 00-01: {other}", f"unit target: {other}"]
