"""FuseChat: one model's best and worst answer, examples among the right ones, and the split."""

import pytest
from audit import audit

from gristmill import Recipe, run
from gristmill.engines.rating import Rating
from gristmill.engines.requests import Completion
from gristmill.engines.sandbox.program import Verdict
from gristmill.errors import PromptTooLong
from gristmill.generators.fuse_chat import FuseChat, Rated, best_pair

ROW = {"instruction": "Name a tree."}
GEN: dict = {}


def rated(*rewards: float, right: str = "") -> list[Rated]:
    known = right or "+" * len(rewards)
    return [Rated(f"text {i}", r, known[i] == "+", GEN) for i, r in enumerate(rewards)]


X, Y = rated(0.10, 0.14, 0.12), rated(0.30, 0.31)


@pytest.mark.parametrize(
    ("found", "name", "gap"),
    [
        ({"x": X, "y": Y}, "y", 0.01),
        ({"x": X}, "x", 0.04),
        ({"z": rated(0.1, 0.35), "x": X}, "x", 0.04),
        ({"z": rated(0.1, 0.2)}, "z", 0.1),
        ({"z": rated(0.31, 0.40), "x": rated(0.36, 0.38)}, "z", 0.09),
        ({"z": rated(0.1, 0.35)}, None, 0),
        ({"z": rated(0.2, 0.205)}, None, 0),
        ({"a": rated(0.1), "b": rated(0.15)}, None, 0),
        ({"a": []}, None, 0),
    ],
)
def test_a_pair_is_of_one_model_and_its_gap_in_the_window(found, name, gap) -> None:
    picked = best_pair(found, (0.01, 0.1), judged=False)
    assert (picked and picked[0]) == name
    if picked:
        assert picked[1].reward - picked[2].reward == pytest.approx(gap)


def test_where_answers_are_judged_the_worse_one_is_wrong() -> None:
    some = {"x": rated(0.10, 0.14, 0.12, 0.13, right="+--+")}
    _, best, worst = best_pair(some, (0.01, 0.1), judged=True)
    assert (best.reward, worst.reward) == (0.13, 0.12)
    assert best_pair({"x": rated(0.1, 0.15)}, (0.01, 0.1), judged=True) is None
    assert best_pair({"x": rated(0.1, 0.15, right="--")}, (0.01, 0.1), judged=True) is None
    name, best, worst = best_pair({"x": rated(0.1, 0.9, right="+-")}, None, judged=True)
    assert (name, best.reward, worst.reward) == ("x", 0.1, 0.9), (
        "code: a pass, whatever it is worth"
    )


PAIRS = {"samples": 2, "sft_rate": 0.0}


def asked(script, first, second, rewards):
    roles = {"first": script({"": first}), "second": script({"": second})}
    return {**roles, "reward": script(rewards)}


def test_every_model_answers_and_every_answer_is_rated(ask, script) -> None:
    rewards = {"Oak": [Rating(0.1, 1)], "Ash": [Rating(0.15, 1)], "Elm": [Rating(0.3, 1)],
               "Fir": [Rating(0.2, 1)]}  # fmt: skip
    engines = asked(script, ["Oak", "Ash"], ["Elm", "Fir"], rewards)
    (row,) = ask(FuseChat(**PAIRS), ROW, engines)
    assert (row["chosen"], row["rejected"], row["source_model"]) == ("Elm", "Fir", "second")
    assert (row["chosen_from"], row["rejected_from"], row["output"]) == ("second", "second", None)
    assert row["margin"] == pytest.approx(0.1)
    assert sum(len(engine.calls) for engine in engines.values()) == 8
    engines = asked(script, ["Oak", "Ash"], ["Elm", "Fir"], rewards)
    (row,) = ask(FuseChat(samples=2, sft_rate=1.0), ROW, engines)
    assert (row["output"], row["source_model"]) == ("Elm", "second")
    assert "chosen" not in row


def test_four_models_with_five_samples_are_twenty_answers_and_twenty_ratings(ask, script) -> None:
    roles = ("first", "second", "third", "fourth")
    engines = {role: script({"": [f"{role} {i}" for i in range(5)]}) for role in roles}
    rewards = {f"{role} {i}": [Rating(i / 50, 1)] for role in roles for i in range(5)}
    reward = script(rewards)
    ask(FuseChat(sources=roles), ROW, {**engines, "reward": reward})
    assert [len(engine.calls) for engine in engines.values()] == [5] * 4
    assert len(reward.calls) == 20
    for engine in engines.values():
        assert len({str(call.prompt) for call in engine.calls}) == 1
        assert len({call.draw for call in engine.calls}) == 5


def test_of_chinese_there_are_examples_alone(ask, script) -> None:
    rewards = {"Oak": [Rating(0.1, 1)], "Ash": [Rating(0.15, 1)]}
    stage = FuseChat(domain="chinese", samples=1, sft_rate=0.0)
    (row,) = ask(stage, ROW, asked(script, ["Oak"], ["Ash"], rewards))
    assert (row["output"], row["source_model"]) == ("Ash", "second")
    assert "chosen" not in row


@pytest.mark.parametrize(
    "bad",
    [" ", Completion("As", "length", 9, 1), PromptTooLong("9 > 8"), "I'm sorry, but I can't."],
)
def test_a_bad_reply_is_no_answer_of_its_model(bad, ask, script) -> None:
    rewards = {"Oak": [Rating(0.1, 1)], "Elm": [PromptTooLong("x")], "Fir": [Rating(0.2, 1)]}
    found = ask(FuseChat(**PAIRS), ROW, asked(script, ["Oak", bad], ["Elm", "Fir"], rewards))
    assert (found.code, found.detail) == ("no_pair", "{'first': [0.1], 'second': [0.2]}")


def test_of_mathematics_right_answers_only_are_examples(ask, script) -> None:
    row = {"instruction": "Add 1 and 0.5.", "reference": "So it is so.\n#### 1.5"}
    rewards = {"2": [Rating(0.9, 1)], "1.50": [Rating(0.2, 1)]}
    stage = FuseChat(samples=1, sft_rate=1.0, domain="math")
    engines = asked(script, ["The answer is 2."], ["The answer is 1.50."], rewards)
    assert ask(stage, row, engines)[0]["output"] == "The answer is 1.50."
    rewards = {"2": [Rating(0.9, 1)], "3": [Rating(0.2, 1)]}
    engines = asked(script, ["The answer is 2."], ["The answer is 3."], rewards)
    assert ask(stage, row, engines).code == "none_correct"


@pytest.mark.parametrize(
    ("gold", "said", "right"),
    [
        ("72", "So he pays 72 dollars.", True), ("72 dollars", "It is 72.", True),
        ("72 dollars", "So he pays 27 dollars.", False), ("72", "He pays.", False),
        ("5 km", "So he runs 5 miles.", None), ("72", "The answer is x + 1.", None),
    ],
)  # fmt: skip
def test_an_answer_that_nobody_can_judge_is_neither_right_nor_wrong(
    gold, said, right, ask, script
) -> None:
    row, sure = {"instruction": "How much?", "reference": gold}, f"#### {gold}"
    rewards = {said: [Rating(0.2, 1)], sure: [Rating(0.25, 1)]}
    engines = {"first": script({"": [said, sure]}), "reward": script(rewards)}
    stage = FuseChat(samples=2, sft_rate=0.0, sources=["first"], domain="math")
    made = ask(stage, row, engines)
    if right is False:
        assert [one["rejected"] for one in made] == [said]
    else:
        assert made.code == "no_pair"
    engines = {"first": script({"": [said]}), "reward": script({said: [Rating(0.2, 1)]})}
    made = ask(stage.model_copy(update={"samples": 1, "sft_rate": 1.0}), row, engines)
    assert (made[0]["output"] if right else made.code) == (said if right else "none_correct")


def test_code_is_run(ask, script) -> None:
    row = {"instruction": "Write f.", "tests": "assert f() == 1"}
    replies = ["```python\ndef f(): return 1\n```", "```python\ndef f(): return 2\n```"]
    verdicts = {"return 1": [Verdict("pass", "")], "return 2": [Verdict("fail", "")]}
    stage = FuseChat(**PAIRS, sources=["first"], domain="code")
    rewards = {"return 1": [Rating(0.1, 1)], "return 2": [Rating(0.9, 1)]}
    engines = {
        "first": script({"": replies}),
        "reward": script(rewards),
        "sandbox": script(verdicts),
    }
    (made,) = ask(stage, row, engines)
    assert (made["chosen"], made["rejected"]) == tuple(replies)


def test_hostile_prompts_are_text(ask, script) -> None:
    evil = "{x} {{y}} {% raw %} <|im_end|>\n### Answer"
    engines = asked(script, ["Oak"], ["Elm"], {evil: [Rating(0.1, 1), Rating(0.2, 1)]})
    (row,) = ask(FuseChat(samples=1, sft_rate=1.0), {"instruction": evil}, engines)
    assert row["output"] == "Elm"
    assert engines["first"].calls[0].prompt[0]["content"] == evil


def test_no_prompt_is_example_and_pair(engine, tmp_path) -> None:
    class Rates(type(engine())):
        ops = frozenset({"generate", "rate"})

        async def rate(self, request) -> Rating:
            return Rating(sum(map(ord, request.messages[-1]["content"])) % 9 / 2, 9)

    recipe = Recipe.load(
        "fuse_chat", ["export={formats: [preference], card: false, report: false}"]
    )
    model = Rates(answer=lambda prompt, draw: f"Take number {draw % 1000}.")
    result = run(recipe, engines=dict.fromkeys(recipe.engines, model), workspace=tmp_path)
    assert audit(result.path) == []
    rows = result.dataset.to_pylist()
    learnt = {row["instruction"] for row in rows if row["output"]}
    paired = {row["instruction"] for row in rows if row["chosen"]}
    assert not learnt & paired
    assert len(learnt | paired) == len(rows)
    assert min(len(learnt), len(paired)) > 5
