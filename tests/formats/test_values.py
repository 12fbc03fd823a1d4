"""What a stage writes is of the type that it declares, or its row fails."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.formats.values import typed

NUMBER, WHOLE, TEXT, TRUTH = pa.float64(), pa.int64(), pa.string(), pa.bool_()
NUMBERS = pa.list_(NUMBER)
TURN = pa.struct({"role": TEXT, "share": NUMBER})


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        (None, NUMBER, None),
        (np.float32(0.5), NUMBER, 0.5),
        (2, NUMBER, 2.0),
        (np.int64(3), WHOLE, 3),
        (np.bool_(True), TRUTH, True),
        (np.str_("a"), TEXT, "a"),
        ("é", TEXT, "é"),
        (np.array([1.0, 2.0]), NUMBERS, [1.0, 2.0]),
        ([np.float32(1), None], NUMBERS, [1.0, None]),
        ([{"role": "user"}], pa.list_(TURN), [{"role": "user"}]),
        ({"role": "user", "share": None}, TURN, {"role": "user", "share": None}),
    ],
)
def test_a_value_that_fits_stays_what_it_is(value: Any, kind: pa.DataType, found: Any) -> None:
    made = typed(value, kind)
    assert made == found
    assert type(made) is type(found)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (math.nan, NUMBER),
        (np.float32("nan"), NUMBER),
        (math.inf, NUMBER),
        ("high", NUMBER),
        (1.5, WHOLE),
        (2**63, WHOLE),
        (True, WHOLE),
        (1, TRUTH),
        (5, TEXT),
        (b"x", TEXT),
        ("\ud800", TEXT),
        ([1.0, math.nan], NUMBERS),
        ([{"role": "user", "share": -math.inf}], pa.list_(TURN)),
        ({"role": 3}, TURN),
        ({"share": np.float64("nan")}, TURN),
        ("ab", NUMBERS),
    ],
)
def test_a_value_that_does_not_fit_is_refused(value: Any, kind: pa.DataType) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of many kinds
        typed(value, kind)


@given(
    st.one_of(
        st.tuples(st.none() | st.floats(allow_nan=False, allow_infinity=False), st.just(NUMBER)),
        st.tuples(st.integers(-(2**63) + 1, 2**63 - 1), st.just(WHOLE)),
        st.tuples(st.text(), st.just(TEXT)),
        st.tuples(st.lists(st.none() | st.integers(-9, 9)), st.just(pa.list_(WHOLE))),
    )
)
def test_what_fits_comes_back_from_arrow_the_same(given: tuple[Any, pa.DataType]) -> None:
    value, kind = given
    assert typed(value, kind) == value == pa.array([value], kind).to_pylist()[0]


def test_a_number_inside_a_struct_becomes_one_of_python() -> None:
    made = typed({"share": np.float32(0.5)}, TURN)
    assert (made, type(made["share"])) == ({"share": 0.5}, float)
