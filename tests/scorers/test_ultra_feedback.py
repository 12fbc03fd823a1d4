"""UltraFeedback: ratings find their answers whatever the order, and none is made up."""

import asyncio
import json
import re

import pyarrow as pa
import pytest

from gristmill.engines.client import Client
from gristmill.pipelines.context import Context
from gristmill.scorers.ultra_feedback import ASPECTS, UltraFeedback
from gristmill.storage.answers import Answers

LEVELS = {"An oak.": 5, "A tree": 3, "A stone.": 1}


def judge(prompt: str, draw: int) -> str:
    """Rate by the text alone, as a judge without a bias."""
    answers = re.findall(r"### Answer \d+\n(.+)", prompt)
    none = "null: the request" in prompt
    rated = [
        {"rating": None if none and a == "A tree" else LEVELS[a], "rationale": a} for a in answers
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


def test_two_ratings_for_three_answers_are_none(rate) -> None:
    two = json.dumps({"ratings": [{"rating": 3, "rationale": "x"}] * 2})
    rows, _ = rate(lambda prompt, draw: two)
    assert {row["mean"] for row in rows} == {None}
    assert rows[0]["rationales"] == [None] * 4
