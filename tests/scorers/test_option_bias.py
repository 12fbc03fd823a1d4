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
    few = decided(["A"], ["A"])[0]
    assert (few["p"], few["is_biased"]) == (1.0, False), "one row shows nothing"


def test_a_letter_that_is_never_right_is_a_bias_however_rare() -> None:
    assert decided(["E", *UNIFORM], ["A", *UNIFORM])[0]["p"] == 0.0


def test_answers_that_could_not_be_read_count_for_nothing() -> None:
    lines = decided([None, "A", None, "B"], ["A", "A", "B", "B"])
    assert [line["share"] for line in lines] == [None, 0.5, None, 0.5]
    assert [line["is_biased"] for line in lines] == [None, False, None, False]
    nobody = decided([None], ["A"])[0]
    assert (nobody["keep"], nobody["p"], nobody["is_biased"]) == (True, None, None)
