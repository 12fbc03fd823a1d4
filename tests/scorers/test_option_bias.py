"""Whether answers prefer a letter: counted over all rows, against the letters that are right."""

import pyarrow as pa
import pytest

from gristmill.scorers.option_bias import OptionBias


def decided(chosen, right, **changes):
    columns = {"id": [str(i) for i in range(len(chosen))], "verdicts.irac.letter": chosen}
    table = pa.table(columns | {"meta.irac.letter": right})
    return OptionBias(**changes).decide(table).to_pylist()


UNIFORM = list("ABCD" * 25)


def test_forty_of_a_hundred_letters_where_a_quarter_is_right_are_a_bias() -> None:
    lines = decided(list("A" * 40 + "B" * 20 + "C" * 20 + "D" * 20), UNIFORM)
    # Chi-square is (15^2 + 3 * 5^2) / 25 = 12 with three degrees of freedom.
    assert lines[0]["p"] == pytest.approx(0.0074, abs=1e-4)
    assert (lines[0]["share"], lines[0]["right_share"]) == (0.4, 0.25)
    assert lines[-1]["share"] == 0.2
    assert all(line["keep"] and line["is_biased"] for line in lines)
    assert not decided(list("A" * 40 + "BCD" * 20), UNIFORM, below=0.007)[0]["is_biased"]


def test_letters_as_often_as_they_are_right_are_none() -> None:
    (first, *_) = decided(UNIFORM[::-1], UNIFORM)
    assert (first["p"], first["is_biased"]) == (1.0, False)


@pytest.mark.parametrize(
    ("chosen", "right"),
    [
        (["A"], ["A"]),
        (["A"], ["B"]),
        (["E", *UNIFORM], ["A", *UNIFORM]),
        (list("A" * 10), list("A" * 6 + "B" * 4)),
        (list("A" * 9), list("B" * 9)),
    ],
)
def test_counts_too_small_for_the_test_say_nothing(chosen, right) -> None:
    first = decided(chosen, right)[0]
    assert (first["p"], first["is_biased"]) == (None, None)
    assert first["share"] == chosen.count(chosen[0]) / len(chosen)


def test_five_of_a_letter_are_enough() -> None:
    # Chi-square is 25 / 5 + 25 / 5 = 10 with one degree of freedom.
    first = decided(list("A" * 10), list("AB" * 5))[0]
    assert (first["p"], first["is_biased"]) == (pytest.approx(0.0016, abs=1e-4), True)
    assert decided(list("A" * 5), list("A" * 5))[0]["p"] == 1.0


def test_answers_that_could_not_be_read_count_for_nothing() -> None:
    lines = decided([None, "A", "", "B"] * 5, ["A", "A", "B", "B"] * 5)
    assert [line["share"] for line in lines] == [None, 0.5, None, 0.5] * 5
    assert [line["is_biased"] for line in lines] == [None, False, None, False] * 5
    nobody = decided([None], ["A"])[0]
    assert (nobody["keep"], nobody["p"], nobody["is_biased"]) == (True, None, None)
