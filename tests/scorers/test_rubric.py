from math import exp

import pytest
from pydantic import ValidationError

from gristmill.engines.requests import Probs
from gristmill.scorers.rubric import LEVELS, Rubric

ROW = {"instruction": "Name a tree.", "output": "An oak."}


def shares(**given: float) -> dict[str, float]:
    return {str(i): given.get(f"l{i}", 0.0) for i in range(1, 6)}


def test_the_score_is_the_mean_level_and_the_level_the_likeliest(ask, script) -> None:
    row = ask(Rubric(), ROW, script({"An oak.": [shares(l3=0.2, l4=0.5, l5=0.3)]}))
    assert row == {"score": pytest.approx(4.1), "level": 4, "mass": 1.0}


def test_of_two_levels_as_likely_the_lower_one_counts(ask, script) -> None:
    row = ask(Rubric(), ROW, script({"An oak.": [shares(l2=0.5, l5=0.5)]}))
    assert (row["score"], row["level"]) == (pytest.approx(3.5), 2)


def test_the_levels_come_before_the_request(ask, script) -> None:
    levels = ("bad", "weak", "fair", "good", "best")
    engine = script({"An oak.": [shares(l5=1.0)]})
    assert ask(Rubric(levels=levels), ROW, engine)["score"] == 5.0
    text = engine.calls[0].prompt[0]["content"]
    assert (
        "### Levels\n1: bad\n2: weak\n3: fair\n4: good\n5: best\n\n### Request\nName a tree."
        in text
    )
    assert len(LEVELS) == 5
    for n in (1, 10):
        with pytest.raises(ValidationError):
            Rubric(levels=tuple("abcdefghij")[:n])


def test_six_levels_as_deita_has_them(ask, script) -> None:
    raised = [exp(logit) for logit in (0, 0, 0, 0, 2, 1)]
    shares = {str(i): value / sum(raised) for i, value in enumerate(raised, 1)}
    engine = script({"An oak.": [shares]})
    found = ask(Rubric(levels=tuple("abcdef")), ROW, engine)
    assert (found["score"], found["level"]) == (pytest.approx(4.483835, abs=1e-6), 5)
    assert engine.calls[0].labels == ("1", "2", "3", "4", "5", "6")
    assert engine.calls[0].prompt[0]["content"].endswith("### Level, 1 to 6")


def test_a_judge_that_writes_no_level_gives_none(ask, script) -> None:
    row = ask(Rubric(), ROW, script({"An oak.": [Probs(shares(l5=1.0), 0.4, 9)]}))
    assert row == {"score": None, "level": None, "mass": 0.4, "flags": ["judge_parse_fail"]}


def test_the_last_answer_of_a_conversation_is_rated(ask, script) -> None:
    said = [("user", "One?"), ("assistant", "First."), ("user", "Two?"), ("assistant", "Second.")]
    turns = [{"role": role, "content": text, "extra": None} for role, text in said]
    asked = "### Request\nOne?\n\nFirst.\n\nTwo?\n\n### Answer\nSecond."
    assert ask(Rubric(), {"messages": turns}, script({asked: [shares(l1=1.0)]}))["level"] == 1
