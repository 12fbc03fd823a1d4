import pytest

from gristmill.engines.requests import Probs
from gristmill.filters.order_bias import LABELS, OrderBias
from gristmill.pipelines import Drop

PAIR = {"prompt": "Name a tree.", "chosen": "An oak.", "rejected": "A stone."}
AS_A, AS_B = "### Answer A\nAn oak.", "### Answer B\nAn oak."


def judged(ask, script, as_a: float, as_b: float):
    first, second = {"A": as_a, "B": 1 - as_a}, {"A": 1 - as_b, "B": as_b}
    return ask(OrderBias(), PAIR, script({AS_A: [first], AS_B: [second]}))


def test_a_judge_that_changes_its_mind_with_the_order_drops_the_pair(ask, script) -> None:
    found = judged(ask, script, 0.9, 0.4)
    assert found == Drop("order_bias", "chosen has 0.90 as A and 0.40 as B")
    assert judged(ask, script, 0.4, 0.9).code == "order_bias"


@pytest.mark.parametrize(("as_a", "as_b", "agrees"), [(0.9, 0.6, True), (0.2, 0.4, False)])
def test_the_same_winner_twice_stays(ask, script, as_a, as_b, agrees) -> None:
    found = judged(ask, script, as_a, as_b)
    assert found == {"agrees": agrees, "preference": pytest.approx((as_a + as_b) / 2)}


def test_a_judge_that_writes_something_else_says_nothing(ask, script) -> None:
    other = Probs({"A": 1.0, "B": 0.0}, 0.3, 9)
    found = ask(OrderBias(), PAIR, script({AS_A: [other], AS_B: [{"A": 0.1, "B": 0.9}]}))
    assert found == Drop("unparsed_judge", "mass 0.30")
    assert LABELS == ("A", "B")


def test_the_request_may_be_an_instruction_with_its_input(ask, script) -> None:
    row = {"instruction": "Name one.", "input": "Trees.", "chosen": "Oak.", "rejected": "Elm."}
    asked = "### Request\nName one.\n\nTrees.\n\n### Answer A\n"
    engine = script({f"{asked}Oak": [{"A": 0.9, "B": 0.1}], f"{asked}Elm": [{"A": 0.1, "B": 0.9}]})
    assert ask(OrderBias(), row, engine)["preference"] == pytest.approx(0.9)
