import pytest
from pydantic import ValidationError

from gristmill.engines.requests import Probs
from gristmill.scorers.ability import ABILITIES, Ability

TWO = Ability(abilities=("ethics", "history"))
ROW = {"instruction": "When did Rome burn?", "output": "In the year 64."}


def test_the_letter_with_the_largest_share_names_the_label(ask, script) -> None:
    key = ("A. ethics\nB. history\n", "### Task\nWhen did Rome burn?\n")
    engine = script({key: [Probs({"A": 0.2, "B": 0.8}, 0.7, 40)]})
    assert ask(TWO, ROW, engine) == {"label": "history", "score": 0.8, "mass": 0.7}
    assert engine.calls[0].labels == ("A", "B")
    assert "64" not in engine.calls[0].prompt[0]["content"], "the answer is not shown"


def test_of_equal_shares_the_first_counts(ask, script) -> None:
    found = ask(TWO, ROW, script({"Rome": [{"A": 0.5, "B": 0.5}]}))
    assert (found["label"], found["score"]) == ("ethics", 0.5)


@pytest.mark.parametrize(("mass", "label"), [(0.995, "ethics"), (0.98, None)])
def test_a_letter_that_may_be_missing_names_nothing(ask, script, mass, label) -> None:
    found = ask(TWO, ROW, script({"Rome": [Probs({"A": 1.0, "B": 0.0}, mass, 9)]}))
    assert (found["label"], found.get("flags")) == (label, None if label else ["judge_parse_fail"])


def test_a_conversation_is_labelled_by_what_stands_before_its_first_answer(ask, script) -> None:
    said = [("system", "Be kind."), ("user", "One?"), ("assistant", "1"), ("user", "Two?")]
    row = {"messages": [{"role": role, "content": content} for role, content in said]}
    engine = script({"### Task\nBe kind.\n\nOne?\n\n### Letter": [{"A": 0.9, "B": 0.1}]})
    assert ask(TWO, row, engine)["label"] == "ethics"


def test_no_task_is_not_asked_about(ask, script) -> None:
    found = ask(TWO, {"output": "64.", "flags": ["seen"]}, script({}))
    assert found == {"label": None, "score": None, "mass": None, "flags": ["empty_prompt", "seen"]}


def test_a_list_has_two_names_at_least_and_a_letter_for_each() -> None:
    assert len(ABILITIES) == 10
    for names in (("one",), tuple(f"ability {i}" for i in range(27))):
        with pytest.raises(ValidationError):
            Ability(abilities=names)
