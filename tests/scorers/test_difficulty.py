from math import exp

import pytest

from gristmill.engines.requests import Probs
from gristmill.scorers.difficulty import LABELS, Difficulty

ROW = {"instruction": "Prove it.", "input": "x > 0", "output": "No."}
COUNTS = Difficulty(by="pass_rate")


def test_the_worked_judgement_of_the_sheet(ask, script) -> None:
    hard, easy = exp(-0.2), exp(-1.8)
    shares = {"1": hard / (hard + easy), "0": easy / (hard + easy)}
    engine = script({"### Problem\nProve it.\n\nx > 0\n\n": [Probs(shares, hard + easy, 9)]})
    found = ask(Difficulty(), ROW, engine)
    assert found["score"] == pytest.approx(0.832018, abs=1e-4)
    assert engine.calls[0].labels == LABELS
    assert "No." not in engine.calls[0].prompt[-1]["content"]


def test_a_judge_that_wrote_something_else_gives_no_score(ask, script) -> None:
    found = ask(Difficulty(), ROW, script({"Prove": [Probs({"1": 0.0, "0": 1.0}, 0.4, 9)]}))
    assert (found["score"], found["flags"]) == (None, ["judge_parse_fail"])


def test_a_conversation_is_judged_by_what_stands_before_the_first_answer(ask, script) -> None:
    said = [("user", "One?"), ("assistant", "first"), ("user", "Two?"), ("assistant", "second")]
    row = {"messages": [{"role": role, "content": content} for role, content in said]}
    engine = script({"### Problem\nOne?\n\n### Hard": [{"1": 0.25, "0": 0.75}]})
    assert ask(Difficulty(), row, engine)["score"] == 0.25


def test_no_question_is_not_asked_about(ask, script) -> None:
    found = ask(Difficulty(), {"output": "No."}, script({}))
    assert (found["score"], found["flags"]) == (None, ["empty_prompt"])


@pytest.mark.parametrize(
    ("passed", "tried", "score", "low", "high"),
    [
        (3, 4, 0.25, 0.04559, 0.69936),
        (0, 8, 1.0, 0.67559, 1.0),
        (8, 8, 0.0, 0.0, 0.32441),
        (4, 10, 0.6, 0.31267, 0.83182),
        (40, 100, 0.6, 0.50200, 0.69060),
    ],
)
def test_a_pass_rate_turns_into_a_difficulty_with_its_interval(
    ask, script, passed, tried, score, low, high
) -> None:
    found = ask(COUNTS, {"n_passed": passed, "n_answers": tried}, script({}))
    assert found["score"] == score
    assert (found["low"], found["high"]) == (
        pytest.approx(low, abs=1e-4),
        pytest.approx(high, abs=1e-4),
    )


@pytest.mark.parametrize(("passed", "tried"), [(None, 4), (0, 0), (0, None)])
def test_what_was_never_tried_is_neither_hard_nor_easy(ask, script, passed, tried) -> None:
    assert ask(COUNTS, {"n_passed": passed, "n_answers": tried}, script({}))["score"] is None


def test_more_passes_than_answers_are_a_mistake(ask, script) -> None:
    with pytest.raises(ValueError, match="5 answers of 4 passed; expected 0 to 4"):
        ask(COUNTS, {"n_passed": 5, "n_answers": 4}, script({}))


def test_it_reads_and_needs_what_its_way_needs() -> None:
    assert (COUNTS.reads(), COUNTS.needs()) == ({"n_passed", "n_answers"}, {})
    assert Difficulty().needs() == {"judge": "choice"}
    assert Difficulty(by="pass_rate", passed="meta.r.ok").reads() == {"meta.r.ok", "n_answers"}
