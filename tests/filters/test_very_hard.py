"""The cap on very hard instructions."""

import asyncio
import random

import pyarrow as pa
import pytest

from gristmill.engines.client import Client
from gristmill.engines.requests import Completion
from gristmill.filters.very_hard import VeryHard, most
from gristmill.pipelines import Context
from gristmill.storage.answers import Answers


@pytest.fixture
def decide(tmp_path, script):
    def call(said, **changes):
        """Return the decisions on one row per reply."""
        texts = [f"Do thing {i} now." for i in range(len(said))]
        table = pa.table({"id": [f"r{i}" for i in range(len(said))], "instruction": texts,
                          "input": [None] * len(said)})  # fmt: skip
        engine = script({t: [one] for t, one in zip(texts, said, strict=True)})
        answers = Answers(tmp_path / f"{random.random()}")

        async def go():
            roles = {"judge": Client(engine, answers)}
            return await VeryHard(**changes).decide(table, Context(roles, 0, "label", "table"))

        found = asyncio.run(go()).to_pylist()
        answers.close()
        return found

    return call


def test_two_fifths_may_be_very_hard(decide) -> None:
    found = decide(["Very hard", "very hard.", "VERY HARD", "hard", "medium", "very easy"])
    assert [row["level"] for row in found][3:] == ["hard", "medium", "very easy"]
    assert [row["keep"] for row in found].count(False) == 1
    (gone,) = [row for row in found if not row["keep"]]
    assert (gone["code"], gone["level"]) == ("too_many_very_hard", "very hard")
    assert gone["detail"] == "3 of 6 rows"
    assert [row["keep"] for row in decide(["very hard"] * 3 + ["easy"] * 3, max_rate=0.5)] == [
        True
    ] * 6


def test_another_word_is_no_level_and_counts_for_nothing(decide) -> None:
    other = Completion("very", "length", 9, 1)
    found = decide(["very hard", "impossible", " ", other, "It is hard", "easy"])
    assert [row["level"] for row in found] == ["very hard", None, None, None, None, "easy"]
    assert [row["keep"] for row in found] == [False, True, True, True, True, True]


def test_how_many_may_join_is_counted_by_hand() -> None:
    # 2 of 5 are 0.4; 3 of 6 are not.
    assert [most(3, 0.4), most(2, 0.4), most(0, 0.4), most(6, 0.4)] == [2, 1, 0, 4]
