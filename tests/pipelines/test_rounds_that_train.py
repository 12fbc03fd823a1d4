"""Rounds that train a role: the demo model, for real."""

import json
import shutil
from typing import Any

import pyarrow as pa
import pytest
from audit import audit

from gristmill.engines.named import build_engines
from gristmill.engines.sandbox import Sandbox
from gristmill.engines.trainer import Trainer
from gristmill.errors import RecipeError
from gristmill.pipelines import Recipe, run
from gristmill.pipelines.runners import RayRunner
from gristmill.pipelines.workspace import prepare

HOW = {"use": "trainer", "epochs": 2, "learning_rate": 1e-3, "batch_size": 4}


def seeds(n: int = 6) -> list[dict[str, Any]]:
    return [
        {"instruction": f"Write a loop to {i}.", "output": f"for i in range({i}):\n    print(i)"}
        for i in range(n)
    ]


def recipe(**changes: Any) -> Recipe:
    made = {
        "name": "closed_loop",
        "engines": {"scorer": {"use": "logprobs", "model": "demo"}, "trainer": HOW},
        "stages": [{"use": "scorers.ifd"}],
        "rounds": {"n": 2, "train": "scorer"},
        "export": {"card": False, "report": False},
    }
    return Recipe.model_validate({**made, **changes})


def nll(dataset: pa.Table, number: int) -> list[float]:
    """Losses of one round, in the order of the seeds."""
    rows = [row for row in dataset.to_pylist() if row["round"] == number]
    rows.sort(key=lambda row: row["instruction"])
    return [row["scores"]["ifd"]["nll_cond"] for row in rows]


def roles(result: Any) -> dict[str, tuple[int, int]]:
    return {role: (calls["made"], calls["tokens"]) for role, calls in result.note["roles"].items()}


def test_a_round_is_scored_by_the_model_that_the_one_before_it_trained(tmp_path) -> None:
    first = run(recipe(), seeds(), workspace=tmp_path)
    assert len(first.dataset) == 12
    before, after = nll(first.dataset, 0), nll(first.dataset, 1)
    assert all(a < b - 0.3 for a, b in zip(after, before, strict=True))
    assert audit(first.path) == []
    assert roles(first)["trainer"][0] == 1, "two rounds, one training between them"
    assert first.note["tokens"] > roles(first)["scorer"][1], "training is a part of the budget"
    (folder,) = (tmp_path / ".gristmill" / "models").iterdir()

    again = run(recipe(), seeds(), workspace=tmp_path)
    assert again.dataset.equals(first.dataset)
    assert roles(again) == {"scorer": (0, 0), "trainer": (0, 0)}
    assert again.note["calls"] == {"made": 0, "replayed": first.note["calls"]["made"]}

    shutil.rmtree(tmp_path / "runs")
    shutil.rmtree(folder)
    rebuilt = run(recipe(), seeds(), workspace=tmp_path)
    assert rebuilt.dataset.equals(first.dataset)
    assert roles(rebuilt)["trainer"][0] == 1
    assert roles(rebuilt)["scorer"][0] == 0, "the same weights, so the same name and answers"


def test_the_third_round_trains_on_both_before_it_from_the_base_again(tmp_path) -> None:
    trainer = build_engines("x", recipe().engines)["trainer"]
    seen: list[Any] = []

    class Watched(Trainer):
        async def train(self, request: Any) -> Any:
            seen.append(request)
            return await super().train(request)

    engines = {"trainer": Watched(**trainer.model_dump())}
    run(recipe(rounds={"n": 3, "train": "scorer"}), seeds(3), engines, workspace=tmp_path)
    assert [(len(request.rows), request.model) for request in seen] == [(3, "demo"), (6, "demo")]


def test_rounds_train_on_the_ranks_of_candidates_too(tmp_path, engine) -> None:
    seen: list[Any] = []

    class Watched(Trainer):
        async def train(self, request: Any) -> Any:
            seen.extend(request.rows)
            return await super().train(request)

    made = recipe(
        stages=[{"use": "generators.iter_rtl", "language": "python"}, {"use": "scorers.ifd"}],
        rounds={"n": 2, "train": "scorer", "ranked": "meta.iter_rtl"},
    )
    answers = ("x = 1", "x = 2", "x = (")
    model = engine(answer=lambda _, draw: f"```python\n{answers[draw % 3]}\n```")
    seed = {"instruction": "Set x.", "output": "```python\nx = 1\n```"}
    trainer = build_engines("x", recipe().engines)["trainer"]
    engines = {"generator": model, "trainer": Watched(**trainer.model_dump())}
    with Sandbox(1) as sandbox:
        result = run(made, [seed], {**engines, "sandbox": sandbox}, workspace=tmp_path)
    (one,), row = seen, result.dataset.to_pylist()[0]
    found = json.loads(row["meta"])["iter_rtl"]
    assert (one.response, one.candidates[-1]) == (seed["output"], "x = 1")
    assert (list(one.candidates), list(one.scores)) == (found["candidates"], found["scores"])


def test_a_place_without_candidates_is_found_before_anything_loads() -> None:
    rounds = {"n": 2, "train": "scorer", "ranked": "meta.ifd"}
    with pytest.raises(RecipeError, match=r"rounds\.ranked names 'meta\.ifd', but no stage"):
        prepare(recipe(rounds=rounds), seeds())


def test_rows_without_an_answer_leave_the_model_as_it_is(tmp_path) -> None:
    result = run(recipe(), [{"instruction": "Say.", "output": ""}], workspace=tmp_path)
    assert result.stop == "seeds"
    assert roles(result)["trainer"] == (0, 0)


@pytest.mark.parametrize(
    ("train", "engines", "message"),
    [
        ("writer", {}, "rounds.train names 'writer', but engines has only .*'scorer'"),
        ("judge", {"judge": {"use": "scripted"}}, r"no stage calls it; name one of \['scorer'\]"),
        ("trainer", {}, "trains 'trainer', but no stage calls it"),
        ("scorer", {"trainer": {"use": "scripted"}}, "needs engines.trainer to train, found Scri"),
    ],
)
def test_what_cannot_be_trained_is_found_before_anything_loads(train, engines, message) -> None:
    named = {**recipe().engines, **engines}
    with pytest.raises(RecipeError, match=message):
        prepare(recipe(engines=named, rounds={"n": 2, "train": train}), seeds())


def test_a_role_without_a_model_of_its_own_cannot_be_trained(script) -> None:
    with pytest.raises(RecipeError, match="Script has no causal language model of its own; use"):
        prepare(recipe(), seeds(), {"scorer": script({})})


def test_training_is_part_of_what_names_a_run() -> None:
    def name(**changes: Any) -> str:
        return prepare(recipe(**changes), seeds()).name

    slower = {**recipe().engines, "trainer": {**HOW, "epochs": 3}}
    assert len({name(), name(rounds={"n": 2}), name(engines=slower)}) == 3


@pytest.mark.slow
def test_on_ray_the_rounds_are_the_same(tmp_path) -> None:
    here = run(recipe(), seeds(), workspace=tmp_path / "here")
    there = run(recipe(), seeds(), runner=RayRunner(workers=1), workspace=tmp_path / "there")
    assert there.dataset.equals(here.dataset)
    assert roles(there) == roles(here)
