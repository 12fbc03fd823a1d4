import json
import os
from fractions import Fraction
from pathlib import Path

import pytest

from gristmill.text.equations import numbers, slips


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("so 3 + 4 = 7.", []),
        ("so 3 + 4 = 8.", ["3 + 4 = 8"]),
        ("2 * 3 + 4 = 10 and 2 + 3 * 4 = 20", ["2 + 3 * 4 = 20"]),
        ("0.1 + 0.2 = 0.3", []),
        ("10 / 3 = 3.33", []),
        ("10 / 3 = 3.34", ["10 / 3 = 3.34"]),
        ("10 / 3 = 3", ["10 / 3 = 3"]),
        ("$1,200 \u00d7 2 = $2,400", []),
        ("5 \u2212 8 = -3", []),
        ("5 - 8 = 3", ["5 - 8 = 3"]),
        ("7 / 0 = 7", ["7 / 0 = 7"]),
        ("n + 2 * 3 = 10", []),
        ("2 + 3 = 10 / 2", []),
        ("2 + 3 = 1 + 4 = 5", []),
        ("5 x 4 = 21", ["5 x 4 = 21"]),
        ("50% * 4 = 2", []),
        ("x2 + 3 = 7, 3 apples + 2 pears = 6 fruits", []),
        ("1 + " * 2000 + "1", []),
        ("1 +" + " " * 300_000 + "; 5 x 4 = 21", ["5 x 4 = 21"]),
        ("1 + $ 2 * 3 = 7, and +  \n$2 * 3 = 7", []),
        ("9" * 100_000, []),
    ],
)
def test_equations_between_numbers_are_recomputed(text, wrong) -> None:
    assert slips(text) == wrong


def test_numbers_are_read_by_value() -> None:
    assert numbers("$1,200.50 and 3.0, not x4 or 7th") == {
        Fraction("1200.5"),
        Fraction(3),
        Fraction(7),
    }


def test_the_solutions_of_gsm8k_have_hardly_a_slip() -> None:
    path = Path(os.environ.get("GRISTMILL_DATA", "")) / "gsm8k/train.jsonl"
    if not path.is_file():
        pytest.skip("no GRISTMILL_DATA/gsm8k")
    rows = [json.loads(line)["answer"] for line in path.read_text().splitlines()[:2000]]
    wrong = sum(bool(slips(row)) for row in rows)
    assert 0 < wrong < 60, "written by people: under 3 %"
