import pytest

from gristmill.engines.requests import Probs
from gristmill.scorers.dependability import LABELS, Dependability

ROW = {"instruction": "Name a prime.", "input": None, "output": "Seven."}


def test_the_share_of_yes_is_the_score(ask, script) -> None:
    key = ("### Task\nName a prime.\n", "### Answer\nSeven.\n")
    engine = script({key: [Probs({"yes": 0.8, "no": 0.2}, 0.6, 40)]})
    assert ask(Dependability(), ROW, engine) == {"score": 0.8, "mass": 0.6}
    assert engine.calls[0].labels == LABELS


def test_a_score_of_nothing_is_no_veto(ask, script) -> None:
    table = {"prime": [{"yes": 0.0, "no": 1.0}, {"yes": 0.0, "no": 1.0}]}
    engine = script(table)
    assert ask(Dependability(), ROW, engine)["score"] == 0.01
    assert ask(Dependability(floor=0.0), ROW, engine)["score"] == 0.0


@pytest.mark.parametrize(("mass", "score"), [(0.995, 0.01), (0.98, None)])
def test_a_label_that_is_not_listed_counts_as_zero_only_where_all_is_listed(
    ask, script, mass, score
) -> None:
    found = ask(Dependability(), ROW, script({"prime": [Probs({"yes": 0.0, "no": 1.0}, mass, 9)]}))
    assert (found["score"], found["mass"]) == (score, mass)
    assert found.get("flags") == (None if score else ["judge_parse_fail"])


def test_the_last_answer_of_a_conversation_is_judged_given_the_rest(ask, script) -> None:
    said = [("user", "One?"), ("assistant", "first"), ("user", "Two?"), ("assistant", "second")]
    row = {"messages": [{"role": role, "content": content} for role, content in said]}
    key = "[user]\nOne?\n\n[assistant]\nfirst\n\n[user]\nTwo?\n\n### Answer\nsecond\n"
    assert ask(Dependability(), row, script({key: [{"yes": 0.5, "no": 0.5}]}))["score"] == 0.5


@pytest.mark.parametrize(
    ("row", "flag"),
    [
        ({**ROW, "output": " ", "flags": ["seen"]}, "empty_response"),
        ({"output": "Seven.", "flags": ["seen"]}, "empty_prompt"),
    ],
)
def test_nothing_to_judge_is_not_asked(ask, script, row, flag) -> None:
    found = ask(Dependability(), row, script({}))
    assert found == {"score": None, "mass": None, "flags": sorted([flag, "seen"])}
