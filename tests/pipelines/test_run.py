import json
import os
import random
import sqlite3
from contextlib import closing

import pytest
from audit import audit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gristmill import run
from gristmill.errors import InputError, RunLocked, TooManyErrors
from gristmill.pipelines import LocalRunner
from gristmill.storage.shards import Shard, lock

QUICK = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def go(recipe, seeds, engine, path, runner=None):
    return run(recipe, seeds, {"generator": engine}, runner or LocalRunner(), path)


def bytes_of(result):
    return (result.path / "dataset" / "data" / "train-00000-of-00001.parquet").read_bytes()


@QUICK
@given(data=st.data())
def test_order_shards_and_concurrency_never_change_a_byte(
    data, recipe, engine, seeds, tmp_path_factory
) -> None:
    def once(rows, runner, delay_s):
        path = tmp_path_factory.mktemp("run")
        result = go(recipe("target=9"), rows, engine(max_delay_s=delay_s), path, runner)
        assert audit(result.path) == []
        return bytes_of(result), json.loads((result.path / "ledger.json").read_text())["stages"]

    runner = LocalRunner(
        rows_per_shard=data.draw(st.integers(1, 20)),
        in_flight=data.draw(st.integers(1, 40)),
    )
    rows = [*seeds(12), *seeds(3)]  # three seeds are there twice
    assert once(data.draw(st.permutations(rows)), runner, 0.002) == once(rows, LocalRunner(), 0)


def test_a_replayed_run_starts_no_engine(recipe, engine, seeds, tmp_path) -> None:
    first, cold = engine(), engine()
    before = go(recipe(), seeds(), first, tmp_path)
    for shard in before.path.glob("shards/*/*.parquet"):
        shard.unlink()
    assert bytes_of(go(recipe(), seeds(), cold, tmp_path)) == bytes_of(before)
    assert first.started
    assert not cold.started
    assert not cold.calls


@pytest.mark.parametrize("rest", [0, 100, 1000])
def test_a_damaged_shard_is_worked_again(recipe, engine, seeds, tmp_path, rest, caplog) -> None:
    before, cold = go(recipe(), seeds(), engine(), tmp_path), engine()
    for shard in before.path.glob("shards/*/*.parquet"):
        os.truncate(shard, rest)
    assert bytes_of(go(recipe(), seeds(), cold, tmp_path)) == bytes_of(before)
    assert not cold.calls
    assert "damaged=" in caplog.text


def test_no_flipped_bit_of_a_shard_is_read_as_good(recipe, engine, seeds, tmp_path) -> None:
    path = go(recipe(), seeds(), engine(), tmp_path).path
    file = max(path.glob("shards/*/*.parquet"), key=lambda shard: shard.stat().st_size)
    good, data, rng = Shard.read(file).rows, file.read_bytes(), random.Random(5)
    refused = 0
    for _ in range(150):
        at = rng.randrange(len(data))
        file.write_bytes(data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :])
        found = Shard.read(file)
        refused += found is None
        texts = (
            [(row["id"], row["instruction"], row["calls"]) for row in found.rows] if found else []
        )
        assert not found or texts == [(r["id"], r["instruction"], r["calls"]) for r in good]
    assert refused > 30


def test_another_threshold_asks_nothing_again(recipe, engine, seeds, tmp_path) -> None:
    first = go(recipe(), seeds(), engine(), tmp_path)
    cold = engine()
    other = go(recipe("stages.1.min_chars=30", "stages.-1.k=3"), seeds(), cold, tmp_path)
    assert cold.calls == []
    assert other.path != first.path
    assert len(other.dataset) == 3


def test_one_more_response_asks_only_for_that_one(recipe, engine, seeds, tmp_path) -> None:
    before, more = engine(), engine()
    go(recipe("stages.2.n=4"), seeds(), before, tmp_path)
    after = go(recipe("stages.2.n=5"), seeds(), more, tmp_path)
    families = next(line["in"] for line in after.ledger if line["stage"] == "responses")
    assert len(more.calls) == families > 12


def test_mixed_drops_of_one_row_reconcile(recipe, engine, seeds, tmp_path) -> None:
    def half_empty(prompt: str, draw: int) -> str:
        return " " * (draw % 2 == 0) or f"answer {draw}"

    responses = recipe("stages=[{use: generators.responses}, {use: filters.majority}]")
    result = go(responses, seeds(), engine(answer=half_empty), tmp_path)
    line = next(line for line in result.ledger if line["stage"] == "responses")
    assert line["made"] == 12 * 4 == line["kept"] + line["rejected_children"]
    assert 0 < line["rejected_children"] == line["codes"]["empty"] < line["made"]
    assert audit(result.path) == []


@pytest.mark.parametrize("target", [1, 7, 13])
def test_the_target_is_met_exactly_and_the_surplus_recorded(
    target, recipe, engine, seeds, tmp_path
) -> None:
    path = f"stages.-1.k={min(target, 6)}"
    result = go(recipe(f"target={target}", path), seeds(40), engine(), tmp_path)
    line = next(line for line in result.ledger if line["stage"] == "target")
    assert (result.stop, line["kept"]) == ("target", target)
    assert line["codes"] == ({"over_target": line["rejected"]} if line["rejected"] else {})
    assert result.ledger[0]["in"] < 40
    assert audit(result.path) == []


def test_a_run_that_misses_its_target_says_why(recipe, engine, seeds, tmp_path) -> None:
    result = go(recipe("target=1000"), seeds(4), engine(), tmp_path)
    assert result.stop == "seeds"
    assert result.ledger[0]["in"] == 4


def test_a_spent_budget_stops_between_waves(recipe, engine, seeds, tmp_path) -> None:
    result = go(recipe("budget.tokens=300"), seeds(40), engine(), tmp_path)
    assert result.stop == "budget"
    assert 0 < result.ledger[0]["in"] < 40


def test_too_many_failures_stop_the_run_and_a_repair_resumes_it(
    recipe, engine, seeds, tmp_path
) -> None:
    def broken(prompt: str, draw: int) -> str:
        raise ZeroDivisionError(prompt)

    good, fixed = engine(), engine()
    bad = engine(answer=lambda p, d: broken(p, d) if "topic 5" in p else "Explain it well. 1")
    with pytest.raises(TooManyErrors, match=r"1 of \d+ rows failed.*1 of them say: ZeroDivision"):
        go(recipe(), seeds(), bad, tmp_path, LocalRunner(rows_per_shard=3))
    [path] = (tmp_path / "runs").iterdir()
    stopped = json.loads((path / "ledger.json").read_text())
    assert stopped["stop"] == "error_rate"
    assert stopped["stages"][0]["failed"] == 1
    assert audit(path) == []
    with closing(sqlite3.connect(tmp_path / ".gristmill" / "answers.sqlite")) as answers:
        stored = {key for [key] in answers.execute("SELECT key FROM answers")}
    result = go(recipe(), seeds(), fixed, tmp_path, LocalRunner(rows_per_shard=3))
    assert result.stop == "seeds"
    assert good.calls == []

    assert fixed.calls
    assert {call.key(fixed.identity) for call in fixed.calls} & stored == set()


def test_a_workspace_may_be_named_as_text(recipe, engine, seeds, tmp_path) -> None:
    result = run(recipe(), seeds(), {"generator": engine()}, workspace=str(tmp_path))
    assert result.path.is_relative_to(tmp_path)


def test_a_second_run_is_told_that_the_workspace_is_held(recipe, engine, seeds, tmp_path) -> None:
    with (
        lock(tmp_path / ".gristmill" / "lock"),
        pytest.raises(RunLocked, match="held by another process"),
    ):
        go(recipe(), seeds(), engine(), tmp_path)


ROUNDS = ("rounds={n: 3}", "stages=[{use: generators.responses, n: 2}]")


def test_rounds_repeat_the_stages_and_their_rows_add_up(recipe, engine, seeds, tmp_path) -> None:
    result = go(recipe(*ROUNDS), seeds(5), engine(), tmp_path)
    assert set(result.dataset["round"].to_pylist()) == {0, 1, 2}
    assert len(set(result.dataset["id"].to_pylist())) == len(result.dataset)
    line = result.ledger[0]
    assert (line["in"], line["made"]) == (15, 30)
    assert len(set(result.dataset["output"].to_pylist())) > 2, "every round draws anew"
    assert audit(result.path) == []


def test_a_target_ends_the_rounds(recipe, engine, seeds, tmp_path) -> None:
    result = go(recipe(*ROUNDS, "target=9"), seeds(5), engine(), tmp_path)
    assert (result.stop, len(result.dataset)) == ("target", 9)
    assert set(result.dataset["round"].to_pylist()) == {0, 1}
    assert audit(result.path) == []


def test_a_poor_round_is_the_last(recipe, engine, seeds, tmp_path) -> None:
    poor = engine(answer=lambda prompt, draw: "")
    stop = "rounds.stop_when.accepted_rate_below=0.5"
    result = go(recipe(*ROUNDS, stop), seeds(5), poor, tmp_path)
    assert (result.stop, result.ledger[0]["in"]) == ("yield", 5)


def test_a_folder_of_another_recipe_is_refused(recipe, engine, seeds, tmp_path) -> None:
    folder = tmp_path / "mine"
    run(recipe(), seeds(), {"generator": engine()}, workspace=tmp_path, folder=folder)
    with pytest.raises(InputError, match="belongs to another recipe"):
        run(recipe("seed=8"), seeds(), {"generator": engine()}, workspace=tmp_path, folder=folder)


def test_datasets_reads_the_dataset_folder(recipe, engine, seeds, tmp_path) -> None:
    datasets = pytest.importorskip("datasets")
    result = go(recipe(), seeds(), engine(), tmp_path)
    loaded = datasets.load_dataset(
        str(result.path / "dataset"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded["id"][:] == result.dataset["id"].to_pylist()
    assert loaded[0]["picks"]["longest"]["rank"] is not None
    assert loaded[0]["difficulty"] is not None


def test_a_users_code_column_is_not_taken_for_a_reject_code(
    recipe, engine, seeds, tmp_path
) -> None:
    rows = [{**seed, "code": f"print({i})"} for i, seed in enumerate(seeds())]
    result = go(recipe(), rows, engine(), tmp_path)
    assert set(result.dataset["code"].to_pylist()) <= {row["code"] for row in rows}
    assert audit(result.path) == []
