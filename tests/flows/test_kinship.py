"""No judge compares its own family's answers with those of others alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gristmill.errors import RecipeError
from gristmill.flows.kinship import kin, own_family
from gristmill.flows.order import Order

LLAMA, QWEN, GEMMA = "meta-llama/Llama-3.1-8B", "Qwen/Qwen2.5-7B", "google/gemma-2-9b-it"
ONE, JURY = "[first]", "[first, other]"


@pytest.fixture
def ordered(tmp_path: Path) -> Callable[..., Order]:
    """Order pairs of two writers, which a judge of its own makes, for a jury to judge again."""

    def make(jury: str, strong: str, weak: str, judge: str, **jurors: str) -> Order:
        (tmp_path / "seeds.jsonl").write_text('{"code": "contract A {}", "label": "safe"}\n')
        models = {"strong": strong, "weak": weak, "judge": judge, **jurors}
        bound = {"use": "openai", "base_url": "http://localhost:1/v1"}
        recipe = {
            "name": "own",
            "seeds": {"path": str(tmp_path / "seeds.jsonl")},
            "engines": {role: {**bound, "model": model} for role, model in models.items()},
            "stages": [
                {"use": "generators.contract_pairs"},
                {"use": "verifiers.fellowship", "jury": jury.strip("[]").split(", ")},
            ],
        }
        path = tmp_path / "own.yaml"
        path.write_text(json.dumps(recipe))
        return Order(recipe=str(path), workspace=tmp_path)

    return make


@pytest.mark.parametrize(
    ("jury", "jurors", "who"),
    [
        (ONE, {"first": "x/Meta-Llama-3-70B"}, "first judges what strong wrote"),
        (ONE, {"first": QWEN}, "first judges what weak wrote"),
        (JURY, {"first": QWEN, "other": "Qwen/QwQ-32B"}, "first, other judges what weak wrote"),
    ],
)
def test_a_jury_of_one_writers_family_is_refused(jury, jurors, who, ordered) -> None:
    with pytest.raises(RecipeError, match=f"fellowship: {who}, and both are of one family"):
        ordered(jury, LLAMA, QWEN, GEMMA, **jurors).prepare()


@pytest.mark.parametrize(
    ("jury", "jurors"),
    [
        (ONE, {"first": GEMMA}),
        (JURY, {"first": LLAMA, "other": QWEN}),
        (JURY, {"first": LLAMA, "other": GEMMA}),
        (ONE, {"first": "demo"}),
    ],
)
def test_a_second_family_is_enough_and_a_toy_has_none(jury, jurors, ordered) -> None:
    assert [*kin(ordered(jury, LLAMA, QWEN, GEMMA, **jurors).prepare())] == []


def test_folders_beside_each_other_are_no_family(tmp_path, monkeypatch, ordered) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two", "three"):
        (tmp_path / "models" / name).mkdir(parents=True)
    order = ordered(ONE, "models/one", "models/two", GEMMA, first="models/three")
    assert [*kin(order.prepare())] == []


def test_where_all_answers_are_of_the_judges_family_it_is_told(ordered) -> None:
    inside, after = own_family(ordered(ONE, QWEN, QWEN, QWEN, first=QWEN).prepare())
    why = "wrote, and both are of one family (qwen); models prefer their own"
    assert inside == f"contract_pairs: judge judges what strong, weak {why}"
    assert after == f"fellowship: first judges what strong, weak {why}"
