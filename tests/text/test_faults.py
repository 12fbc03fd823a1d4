import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.text.faults import changes, faults, likeness, pieces, rebuild, token_mask

ADD = "def add(a, b):\n    return a + b\n"


def shown(text, found):
    return [text[start:end] for start, end in found.spans]


def test_the_operator_alone_is_marked() -> None:
    found = faults(ADD, ADD.replace("+", "-"))
    assert (shown(ADD, found), found.lines) == (["+"], [1])
    assert found.edits == [(ADD.index("+"), ADD.index("+") + 1, "-")]


def test_crlf_and_tabs_shift_no_span() -> None:
    text = ADD.replace("\n", "\r\n").replace("    ", "\t")
    found = faults(text, text.replace("+", "-"))
    assert (shown(text, found), found.lines) == (["+"], [1])


def test_an_insertion_marks_the_tokens_on_both_sides() -> None:
    found = faults(ADD, ADD.replace("a + b", "a + b + 1"))
    assert shown(ADD, found) == ["b"], "nothing stands behind it"
    found = faults(ADD, ADD.replace("a + b", "a + -b"))
    assert shown(ADD, found) == ["+", "b"]


def test_a_line_that_is_gone_is_marked_as_a_whole_but_for_its_spaces() -> None:
    text = "x = 1\ny = 2\nprint(x)\n"
    found = faults(text, "x = 1\nprint(x)\n")
    assert (shown(text, found), found.lines) == (["y", "=", "2"], [1])


@pytest.mark.parametrize("other", [ADD + "# why\n", ADD.replace("a + b", "a  +  b  # sum")])
def test_comments_and_spaces_are_no_difference(other) -> None:
    found = faults(ADD, other)
    assert (found.spans, found.lines) == ([], [])
    assert rebuild(ADD, found.edits) == other


def test_another_indentation_is_a_difference() -> None:
    text = "for x in xs:\n    total += x\n    show(x)\n"
    found = faults(text, text.replace("    show", "show"))
    assert "show" in shown(text, found)
    assert 2 in found.lines
    back = faults(text.replace("    show", "show"), text)
    assert 2 in back.lines


def test_equal_programs_have_no_faults() -> None:
    found = faults(ADD, ADD)
    assert (found.edits, found.spans, found.lines) == ([], [], [])


CODE = st.text(alphabet="ab+ =#'\"\t\n\r(1", max_size=40)


@given(CODE, CODE)
def test_the_edits_rebuild_the_other_program_byte_for_byte(one, other) -> None:
    found = faults(one, other)
    assert rebuild(one, found.edits) == other
    assert all(0 <= start < end <= len(one) for start, end in found.spans)


def test_a_token_that_overlaps_a_span_counts() -> None:
    assert token_mask([(0, 3), (3, 5), (5, 9)], [(4, 6)]) == [False, True, True]
    assert token_mask([(0, 3)], [(3, 4)]) == [False]


SPANS = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), max_size=6)


@given(SPANS, SPANS)
def test_a_mask_is_what_every_token_and_span_say_one_by_one(tokens, spans) -> None:
    tokens, spans = ([(a, a + n) for a, n in some] for some in (tokens, spans))
    plain = [any(s < end and start < e for s, e in spans) for start, end in tokens]
    assert token_mask(tokens, spans) == plain


def test_a_quote_that_nothing_closes_stands_alone_and_strings_are_whole() -> None:
    line = "f('a\\'b', \"it's) # x"
    shown = [one[0] for one in pieces(line, 0, len(line))]
    assert shown == ["f", "(", "'a\\'b'", ",", " ", '"', "it", "'", "s", ")", " ", "# x"]


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 3), max_size=12))
def test_changes_make_the_one_of_the_other_and_leave_out_what_is_equal(one, other) -> None:
    made, at = [], 0
    for nth, (i, j, k, m) in enumerate(changes(one, other)):
        assert not nth or i > at, "something equal stands between two changes"
        made += one[at:i] + other[k:m]
        at = j
    assert made + one[at:] == other


def test_no_long_text_takes_long() -> None:
    quotes = "\"'\\" * 33_000
    assert sum(1 for _ in pieces(quotes, 0, len(quotes))) == 49_500
    one = "\n".join(f"x = x + {i}" for i in range(3000))
    other = "\n".join(f"y = y * {i}" for i in range(3000))
    assert rebuild(one, faults(one, other).edits) == other
    assert token_mask([(i, i + 1) for i in range(len(one))], faults(one, other).spans).count(True)
    assert likeness("ab" * 20_000, "cb" * 20_000) == 0.5
    many = "x\n" * 50_000
    assert faults(many, "y\nx\n" * 33_000).edits == [(0, 100_000, "y\nx\n" * 33_000)]


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ("kitten", "sitting", 1 - 3 / 7),
        ("", "", 1),
        ("ab", "", 0),
        ("a + b", "a - b", 0.8),
        ("aa", "aaa", 2 / 3),
    ],
)
def test_likeness_is_a_normalised_edit_distance(one, other, wanted) -> None:
    assert likeness(one, other) == pytest.approx(wanted)
    assert likeness(other, one) == pytest.approx(wanted)


def plain_distance(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for i, x in enumerate(one, 1):
        above, row = row, [i]
        for j, y in enumerate(other, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


@given(st.text(alphabet="ab \n", max_size=40), st.text(alphabet="ab \n", max_size=40))
def test_bit_vectors_count_as_the_plain_table_does(one, other) -> None:
    longest = max(len(one), len(other), 1)
    assert likeness(one, other) == pytest.approx(1 - plain_distance(one, other) / longest)
