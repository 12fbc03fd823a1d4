"""UltraFeedback: ratings find their answers whatever the order, and none is made up."""

import asyncio
import json
import re

import pyarrow as pa
import pytest

from gristmill.engines.client import Client
from gristmill.generators.ultra_feedback_pairs import UltraFeedbackPairs
from gristmill.pipelines.context import Context
from gristmill.scorers.ultra_feedback import ASPECTS, UltraFeedback
from gristmill.scorers.ultra_feedback_critique import UltraFeedbackCritique
from gristmill.storage.answers import Answers

LEVELS = {"An oak.": 5, "A tree": 3, "A stone.": 1}


def judge(prompt: str, draw: int) -> str:
    """Rate by the text alone, as a judge without a bias."""
    answers = re.findall(r"### Answer \d+\n(.+)", prompt)
    none = "null: the request" in prompt
    rated = [
        {
            "rating": None if none and a == "A tree" else LEVELS[a],
            "rationale": a,
            "kinds": ["fact", "itself"] if a == "A stone." else [],
        }
        for a in answers
    ]
    return json.dumps({"ratings": rated})


@pytest.fixture
def rate(engine, tmp_path):
    def call(answer, outputs=tuple(LEVELS), seed=0, **changes):
        n = len(outputs)
        table = pa.table({
            "id": [str(i) for i in range(n)], "instruction": ["Name a {tree}."] * n,
            "input": pa.nulls(n, pa.string()), "output": list(outputs),
        })  # fmt: skip
        made, answers = engine(answer=answer), Answers(tmp_path / f"answers-{seed}-{len(outputs)}")
        roles = {"judge": Client(made, answers)}

        async def go():
            return await UltraFeedback(**changes).decide(table, Context(roles, seed, "label", "id"))

        try:
            return asyncio.run(go()).to_pylist(), made
        finally:
            answers.close()

    return call


@pytest.mark.parametrize("seed", range(4))
def test_ratings_find_their_answers_in_any_order(rate, seed) -> None:
    rows, made = rate(judge, seed=seed)
    assert [row["helpfulness"] for row in rows] == [5, 3, 1]
    assert [row["honesty"] for row in rows] == [5, None, 1]
    assert [row["mean"] for row in rows] == [5.0, 3.0, 1.0]
    assert all(row["rationales"] == [text] * 4 for row, text in zip(rows, LEVELS, strict=True))
    assert [row["kinds"] for row in rows] == [[], [], ["fact", "itself"]], "each once"
    assert all(row["keep"] for row in rows)
    assert len(made.calls) == len(ASPECTS)


def test_orders_differ_between_aspects_and_seeds(rate) -> None:
    shown = set()
    for seed in range(4):
        _, made = rate(judge, seed=seed)
        shown |= {
            tuple(re.findall(r"### Answer \d\n(.+)", c.prompt[0]["content"])) for c in made.calls
        }
    assert len(shown) > 3


def rating(value) -> str:
    return json.dumps({"ratings": [{"rating": value, "rationale": "x"}] * 3})


@pytest.mark.parametrize(
    "reply", [" ", "I cannot rate these.", rating(6), rating("10"), rating(None), rating(3)[:40]]
)
def test_what_is_no_rating_is_none(rate, reply) -> None:
    rows, _ = rate(lambda prompt, draw: reply, aspects=["truthfulness"])
    assert [(row["truthfulness"], row["mean"]) for row in rows] == [(None, None)] * 3


@pytest.mark.parametrize(
    ("said", "kinds"),
    [(["incomplete", "clear"], ["clear"]), (None, []), ("clear", []), ([["fact"], 3], []), (7, [])],
)
def test_a_kind_that_nobody_knows_costs_no_rating(rate, said, kinds) -> None:
    one = {"rating": 4, "rationale": "x", "kinds": said}
    rows, _ = rate(lambda prompt, draw: json.dumps({"ratings": [one] * 3}))
    assert {row["mean"] for row in rows} == {4.0}
    assert [row["kinds"] for row in rows] == [kinds] * 3


def test_two_ratings_for_three_answers_are_none(rate) -> None:
    two = json.dumps({"ratings": [{"rating": 3, "rationale": "x"}] * 2})
    rows, _ = rate(lambda prompt, draw: two)
    assert {row["mean"] for row in rows} == {None}
    assert rows[0]["rationales"] == [None] * 4


ROW = {"instruction": "Name a {tree}.", "input": "Tall.", "output": "An oak."}


def test_a_critique_has_a_whole_score_that_may_be_ten(ask, script) -> None:
    said = json.dumps({"critique": " Right. ", "score": 10})
    engine = script({"### Request\nName a {tree}.\n\nTall.\n\n### Answer\nAn oak.": [said]})
    assert ask(UltraFeedbackCritique(), ROW, engine) == {"critique": "Right.", "score": 10}


@pytest.mark.parametrize(
    "reply",
    [" ", "Overall 7", '{"critique": "x", "score": 11}', '{"critique": " ", "score": 7}',
     '{"critique": "x", "score": 7.5}', '{"critique": "x'],
)  # fmt: skip
def test_what_is_no_critique_is_none(reply, ask, script) -> None:
    none = {"critique": None, "score": None}
    assert ask(UltraFeedbackCritique(), ROW, lambda prompt, draw: reply) == none
    assert ask(UltraFeedbackCritique(), {**ROW, "output": " "}, script({})) == none


def paired(scores, outputs=("An oak.", "A tree", "A stone."), **changes):
    table = pa.table({
        "id": ["c", "b", "a"], "instruction": ["Name a tree."] * 3, "input": ["Tall."] * 3,
        "output": list(outputs), "gen": [{"model": name} for name in "cba"],
        "scores.ultra_feedback.mean": pa.array(scores, pa.float64()),
    })  # fmt: skip
    return UltraFeedbackPairs(**changes).decide(table).to_pylist()


def test_the_best_is_preferred_to_the_worst() -> None:
    rows = paired([3.0, 4.0, 2.5])
    assert [row["keep"] for row in rows] == [False, True, False]
    assert [row["code"] for row in rows] == ["no_pair", None, "no_pair"]
    pair = rows[1]
    assert (pair["chosen"], pair["rejected"], pair["margin"]) == ("A tree", "A stone.", 1.5)
    assert pair["prompt"] == "Name a tree.\n\nTall."
    assert (pair["chosen_from"], pair["rejected_from"]) == ("b", "a"), "who wrote them"
    assert [row["keep"] for row in paired([4.0, 4.0, 1.0])] == [False, True, False], "lowest id"


@pytest.mark.parametrize(
    ("scores", "changes", "kept"),
    [
        ([4.0, 3.5, 3.25], {}, 0),
        ([4.0, 3.5, 3.0], {}, 1),
        ([4.0, None, None], {"min_gap": 0.0}, 0),
        ([4.0, 4.0, 4.0], {"min_gap": 0.0}, 0),
        ([None] * 3, {}, 0),
        ([4.0, None, 3.5], {"min_gap": 0.5}, 1),
    ],
)
def test_without_a_gap_there_is_no_pair(scores, changes, kept) -> None:
    assert sum(row["keep"] for row in paired(scores, **changes)) == kept


def test_an_answer_without_words_is_not_the_worst() -> None:
    (row,) = (row for row in paired([4.0, 3.0, 1.0], ("Oak.", "Fir.", " ")) if row["keep"])
    assert row["rejected"] == "Fir."
