import json

import pytest

from gristmill.commands.calibrating import compared
from gristmill.errors import InputError

RECIPE = """name: numbers
engines: {}
stages:
  - use: verifiers.final_number
  - use: filters.verdict
    of: final_number
"""


def test_a_judge_is_compared_with_labels_before_its_rows_are_filtered(place, call) -> None:
    (place / "numbers.yaml").write_text(RECIPE)
    given = [("4", True), ("5", False), ("4", False), ("none", True), ("6", None)]
    rows = [
        {"instruction": f"{i}: 2 + 2", "output": output, "reference": "4", "label": label}
        for i, (output, label) in enumerate(given)
    ]
    (place / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, _ = call("calibrate", "numbers.yaml", "labels.jsonl", "--json")
    found = json.loads(out.splitlines()[-1])
    assert code == 0
    assert (found["judge"], found["column"]) == ("numbers", "verdicts.final_number.passed")
    assert (found["rows"], found["compared"]) == (5, 3)
    assert found["agreement_rate"] == pytest.approx(2 / 3)
    assert found["kappa"] == pytest.approx(0.4)  # (2/3 - 4/9) / (1 - 4/9)
    assert found["order_bias_rate"] is None
    assert "kappa 0.400, 95 %: " in call("calibrate", "numbers.yaml", "labels.jsonl")[1]


def test_order_bias_is_the_share_of_rows_on_which_the_orders_disagree() -> None:
    said = [("chosen", True), ("tie", False), ("tie", True), (None, None)]
    rows = [
        {"label": "chosen", "verdicts": {"pairwise": {"winner": winner, "is_consistent": steady}}}
        for winner, steady in said
    ]
    found = compared(rows, "verdicts.pairwise.winner", "label")
    assert (found["compared"], found["order_bias_rate"]) == (3, pytest.approx(1 / 3))


def test_without_labels_or_a_judge_nothing_is_measured(place, call) -> None:
    with pytest.raises(
        InputError, match=r"of 1 rows none has both a\.b and a 'label'; see --label"
    ):
        compared([{"a": {"b": 1}}], "a.b", "label")
    code, _, err = call("calibrate", "tiny.yaml", "seeds.jsonl")
    assert code == 2
    assert "recipe 'tiny' has no verifier or scorer to compare" in err
