import pytest

from gristmill.engines.requests import Probs
from gristmill.filters.toxicity import Toxicity
from gristmill.pipelines import Drop

ROW = {"instruction": "Greet him.", "output": "You fool."}


def judged(ask, script, asked: float, answered: float, row=ROW, **changes):
    table = {"\nGreet him.\n": asked, "\nYou fool.\n": answered}
    engine = script({key: [{"1": p, "0": 1 - p}] for key, p in table.items()})
    return ask(Toxicity(**changes), row, engine)


def test_the_most_toxic_text_of_a_row_decides(ask, script) -> None:
    assert judged(ask, script, 0.1, 0.9) == Drop("toxic", "0.90")
    assert judged(ask, script, 0.6, 0.2) == Drop("toxic", "0.60")


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
    assert ask(Toxicity(), ROW, engine) == Drop("unparsed_judge", "mass 0.20")


def test_a_row_without_text_is_not_toxic(ask, script) -> None:
    assert ask(Toxicity(), {"instruction": None, "output": " "}, script({})) == {}
