"""The grammar, and its values against a plain evaluator in Python."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.text.conditions import MAX_CHARS, MAX_DEPTH, parse

ROW = {"n": 7, "x": 0.5, "name": "a b", "ok": True, "none": None, "tags": ["p", "q"], "in.side": 3}


def value(text: str, **changes: object) -> bool | None:
    row = {**ROW, **changes}
    return (
        pl.DataFrame([row])
        .with_columns(pl.col("none").cast(pl.Int64))
        .select(v=parse(text).expression)["v"][0]
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("n > 5", True),
        ("n>=7 and n<=7", True),
        ("n != 7", False),
        ("0 < x < 1", True),
        ("0 < x < 0.5", False),
        ("in.side == 3", True),
        ("`in.side` == 3", True),
        ("name == 'a b'", True),
        ('name in ["a", "a b"]', True),
        ("n not in [1, 2]", True),
        ("not n in [1, 7]", False),
        ("has(tags, 'q')", True),
        ("has(tags, 'r')", False),
        ("chars(name) == 3", True),
        ("words(name) == 2", True),
        ("ok", True),
        ("not ok or n == 7", True),
        ("ok == false", False),
        ("n > -1e3", True),
        ("n < 1_000", True),
        ("n == 1 and n == 2 or n == 7", True),
        ("n == 1 and (n == 2 or n == 7)", False),
        ("not not ok", True),
        ("none > 1", None),
        ("none > 1 and n == 1", False),
        ("none > 1 or n == 7", True),
        ("not none > 1", None),
        ("none in [1]", None),
        ("none is null", True),
        ("n is not null", True),
        ("none == none", None),
    ],
)
def test_a_condition_has_its_value(text, wanted) -> None:
    assert value(text) is wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("n in [" + "1," * 1990 + "7]", True),
        ("<=".join(["n"] * 1330), True),
        (" or ".join(["n>8"] * 569), False),
        (" and ".join(["n>6"] * 499), True),
    ],
    ids=["in", "chain", "or", "and"],
)
def test_the_longest_conditions_have_values_too(text, wanted) -> None:
    assert MAX_CHARS - 30 < len(text) <= MAX_CHARS
    assert value(text) is wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected a column, number, text, true or false at character 1, found 'the end'"),
        ("n >", "found 'the end'"),
        ("n > 5 n", "expected the end, `and` or `or` at character 6, found 'n'"),
        ("n = 5", "expected a name, number, text or sign at character 2"),
        ("n + 1 > 5", r"at character 2, found '\+ 1 > 5'"),
        ("(n > 5", r"expected '\)'"),
        ("5 > 4", "names no column"),
        ("5", "expected a comparison"),
        ("chars(name)", "expected a comparison"),
        ("and", "expected a column"),
        ("n in []", "expected a column, number"),
        ("n in 5", r"expected '\['"),
        ("n is 5", "expected 'null'"),
        ("has(tags)", "expected ','"),
        ("__import__('os').system('true')", "expected the end|expected a comparison"),
        ("n > 5; n", "expected a name"),
        ("(" * (MAX_DEPTH + 1) + "n", "inside each other"),
        ("n > 5 and " * 500 + "n", "at most 4000"),
    ],
)
def test_what_is_no_condition_is_an_error_with_its_place(text, says) -> None:
    with pytest.raises(ValueError, match=says):
        parse(text)


@given(st.text(alphabet="nx.'\"`()[]<>=!,0123456789 andortis_-\u2028\n", max_size=40))
def test_any_text_is_a_condition_or_a_value_error(text) -> None:
    try:
        columns = parse(text).columns
    except ValueError:
        return
    assert columns


NUMBERS = st.sampled_from(["a", "b", "0", "1", "2.5", "-1"])
LEAVES = st.one_of(
    st.tuples(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS, NUMBERS),
    st.tuples(st.just("null"), st.sampled_from("ab"), st.booleans()),
    st.tuples(st.just("in"), st.sampled_from("ab"), st.booleans()),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner),
    ),
    max_leaves=6,
)


def written(tree) -> str:
    match tree:
        case ("not", inner):
            return f"not ({written(inner)})"
        case ("and" | "or" as word, left, right):
            return f"({written(left)}) {word} ({written(right)})"
        case ("null", name, is_not):
            return f"{name} is {'not ' if is_not else ''}null"
        case ("in", name, is_not):
            return f"{name} {'not ' if is_not else ''}in [1, 2.5]"
        case (sign, left, right):
            return f"{left} {sign} {right}"


def plain(tree, row) -> bool | None:
    match tree:
        case ("not", inner):
            held = plain(inner, row)
            return None if held is None else not held
        case ("and" | "or" as word, *sides):
            held = [plain(side, row) for side in sides]
            decides = word == "or"
            return decides if decides in held else None if None in held else not decides
        case ("null", name, is_not):
            return (row[name] is None) != is_not
        case ("in", name, is_not):
            return None if row[name] is None else (row[name] in (1, 2.5)) != is_not
        case (sign, *sides):
            a, b = (row[side] if side in row else float(side) for side in sides)
            if a is None or b is None:
                return None
            return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b, "==": a == b, "!=": a != b}[
                sign
            ]


VALUES = st.sampled_from([None, 0.0, 1.0, 2.5, 3.0])


@given(TREES, st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=5))
def test_its_values_are_those_of_a_plain_evaluator(tree, pairs) -> None:
    rows = [{"a": a, "b": b} for a, b in pairs]
    text = f"({written(tree)}) and (a is null or a is not null)"
    frame = pl.DataFrame(rows, schema={"a": pl.Float64, "b": pl.Float64})
    found = frame.with_columns(v=parse(text).expression)["v"].to_list()
    assert found == [plain(tree, row) for row in rows]
