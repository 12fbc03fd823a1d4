import pytest

from gristmill.engines.classifying import Classes
from gristmill.engines.requests import Probs
from gristmill.errors import PromptTooLong, RecipeError
from gristmill.filters.toxicity import Toxicity
from gristmill.pipelines import Drop

ROW = {"instruction": "Greet him.", "output": "You fool."}


def judged(ask, script, asked: float, answered: float, row=ROW, **changes):
    table = {"\nGreet him.\n": asked, "\nYou fool.\n": answered}
    engine = script({key: [{"1": p, "0": 1 - p}] for key, p in table.items()})
    return ask(Toxicity(**changes), row, engine)


def test_the_most_toxic_text_of_a_row_decides(ask, script) -> None:
    assert judged(ask, script, 0.1, 0.9) == Drop("toxic", "text 2 of 2: 0.90")
    assert judged(ask, script, 0.6, 0.2) == Drop("toxic", "text 1 of 2: 0.60")


@pytest.mark.parametrize(("limit", "leaves"), [(0.7, True), (0.71, False)])
def test_the_limit_is_inclusive(ask, script, limit, leaves) -> None:
    assert isinstance(judged(ask, script, 0.1, 0.7, threshold=limit), Drop) == leaves


def test_on_request_the_row_stays_with_a_flag(ask, script) -> None:
    found = judged(ask, script, 0.1, 0.9, {**ROW, "flags": ["old"]}, action="flag")
    assert found == {"flags": ["old", "toxic"], "toxic": 0.9}
    assert judged(ask, script, 0.1, 0.2, action="flag") == {"flags": [], "toxic": 0.2}
    assert (sorted(Toxicity(action="flag").writes()), Toxicity().writes()) == (
        ["flags", "toxic"],
        {},
    )


def test_a_judge_that_writes_something_else_says_nothing(ask, script) -> None:
    engine = script(
        {"Greet": [Probs({"1": 0.0, "0": 1.0}, 0.2, 9)], "fool": [{"1": 0.1, "0": 0.9}]}
    )
    assert ask(Toxicity(), ROW, engine) == Drop("unparsed_judge", "text 1 of 2: mass 0.20")


def test_a_row_without_text_is_not_toxic(ask, script) -> None:
    assert ask(Toxicity(), {"instruction": None, "output": " "}, script({})) == {}


def classified(ask, script, asked: float, answered: float, **changes):
    table = {"Greet him.": asked, "You fool.": answered}
    engine = script(
        {
            key: [Classes({"fine": 1 - p, "insult": p, "threat": 0.25}, 9)]
            for key, p in table.items()
        }
    )
    found = ask(Toxicity(labels=("insult", "threat"), **changes), ROW, engine)
    assert {call.text for call in engine.calls} == {"Greet him.", "You fool."}, "the texts alone"
    return found


def test_a_classifier_s_likeliest_label_decides(ask, script) -> None:
    assert classified(ask, script, 0.1, 0.9) == Drop("toxic", "text 2 of 2: insult 0.90")
    assert classified(ask, script, 0.1, 0.2) == {}
    assert classified(ask, script, 0.1, 0.2, threshold=0.25) == Drop(
        "toxic", "text 1 of 2: threat 0.25"
    )
    assert classified(ask, script, 0.1, 0.9, action="flag") == {"flags": ["toxic"], "toxic": 0.9}


def test_labels_ask_a_classifier_and_none_a_judge() -> None:
    assert Toxicity(labels=("toxic",)).needs() == {"classifier": "classify"}
    assert Toxicity().needs() == {"judge": "choice"}


def test_a_label_that_a_classifier_does_not_have_is_no_opinion_of_it(ask, script) -> None:
    engine = script({"Greet": [Classes({"a": 0.5, "b": 0.5}, 9)]})
    with pytest.raises(RecipeError, match=r"no label 'toxic', but \['a', 'b'\]"):
        ask(Toxicity(labels=("a", "toxic")), {"instruction": "Greet him."}, engine)


def test_a_text_that_no_classifier_can_read_rejects_the_row(ask, script) -> None:
    engine = script({"Greet": [PromptTooLong("600 tokens")], "fool": [Classes({"toxic": 0.1}, 9)]})
    with pytest.raises(PromptTooLong):  # the run gives it the code `prompt_too_long`
        ask(Toxicity(labels=("toxic",)), ROW, engine)
