import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.constraints.catalogue import check, constraint
from gristmill.constraints.mul_dim import MUL_DIM, SUBCATEGORIES
from gristmill.errors import InputError

TABLE = "Here:\n| a | b |\n|---|:-:|\n| 1 | 2 |\n| 3 | |\n\nDone"
TWO_TABLES = TABLE + "\n\n| x |\n|---|\n| 1 |\n"
KEYWORDS, MARKERS, MARKS = "content/keywords", "content/identifiers", "content/punctuation"
JSON = '```json\n{"a": [{"b": 1}]}\n```'

VECTORS = [
    (KEYWORDS, {"op": "include", "keywords": ["Cat", "dog"]}, "dogs and cats", True),
    (KEYWORDS, {"op": "include", "keywords": ["Cat", "dog"]}, "cats", False),
    (KEYWORDS, {"op": "avoid", "keywords": ["cat"]}, "Cats", False),
    (KEYWORDS, {"op": "avoid", "keywords": ["cat"]}, "dogs", True),
    (KEYWORDS, {"op": "repeat", "keywords": ["cat"], "n": 2}, "a cat, a Cat", True),
    (KEYWORDS, {"op": "repeat", "keywords": ["cat"], "n": 2}, "cat cat cat", False),
    (MARKERS, {"op": "start", "marker": "List:"}, " List: a", True),
    (MARKERS, {"op": "start", "marker": "List:"}, "A List: a", False),
    (MARKERS, {"op": "end", "marker": "END"}, "a END\n", True),
    (MARKERS, {"op": "end", "marker": "END"}, "END a", False),
    (MARKERS, {"op": "delimit", "marker": "--"}, "a -- b", True),
    (MARKERS, {"op": "delimit", "marker": "--"}, "-- b", False),
    (MARKS, {"op": "end", "mark": "."}, "Yes. ", True),
    (MARKS, {"op": "end", "mark": "."}, "Yes. No", False),
    (MARKS, {"op": "exclude", "mark": ";"}, "a, b", True),
    (MARKS, {"op": "exclude", "mark": ";"}, "a; b", False),
    ("format/headings", {"op": "exactly", "n": 2}, "# a\n## b\n## c", True),
    ("format/headings", {"op": "at_most", "n": 2}, "# a\n## b\n### c", False),
    ("format/headings", {"op": "at_least", "n": 1}, "#a", False),
    ("format/quotes", {"op": "at_least", "n": 2}, "> a\n  > b", True),
    ("format/quotes", {"op": "at_least", "n": 1}, "a > b", False),
    ("format/json", {"op": "exactly", "n": 3}, JSON, True),
    ("format/json", {"op": "exactly", "n": 1}, "{}", True),
    ("format/json", {"op": "at_least", "n": 1}, "3", False),
    ("format/json", {"op": "at_least", "n": 1}, "no JSON", False),
    ("format/xml", {"op": "exactly", "n": 3}, '<a b="1" c=\'2\'><d e="x"/></a>', True),
    ("format/xml", {"op": "exactly", "n": 1}, '<a>b="1"</a>', False),
    ("format/rows", {"op": "exactly", "n": 2}, TABLE, True),
    ("format/rows", {"op": "at_least", "n": 2}, TWO_TABLES, False),
    ("format/rows", {"op": "at_most", "n": 2}, TWO_TABLES, True),
    ("format/rows", {"op": "at_most", "n": 3}, "no table", True),
    ("format/columns", {"op": "exactly", "n": 2}, TABLE, True),
    ("format/columns", {"op": "exactly", "n": 2}, TWO_TABLES, False),
    ("language/english", {"op": "upper"}, "ALL 3 OF IT", True),
    ("language/english", {"op": "upper"}, "ALL of it", False),
    ("language/english", {"op": "lower"}, "all of it", True),
    ("language/english", {"op": "lower"}, "All of it", False),
    ("language/english", {"op": "capitalised"}, "All Of It, 3 (x)", True),
    ("language/english", {"op": "capitalised"}, "All of It", False),
    ("language/chinese", {"op": "simplified"}, "简体中文 ok", True),
    ("language/chinese", {"op": "simplified"}, "繁體中文", False),
    ("language/chinese", {"op": "traditional"}, "繁體中文", True),
    ("language/chinese", {"op": "traditional"}, "简体中文", False),
    ("language/chinese", {"op": "traditional"}, "no Chinese", False),
    ("length/words", {"op": "at_most", "n": 2}, "don't stop", True),
    ("length/words", {"op": "exactly", "n": 4}, "中文 is 汉字", True),
    ("length/words", {"op": "range", "n": 2, "to": 3}, "a b c", True),
    ("length/words", {"op": "range", "n": 2, "to": 3}, "a b c d", False),
    ("length/words", {"op": "at_least", "n": 3}, "a b", False),
    ("length/sentences", {"op": "exactly", "n": 2}, "One... Two?! three", True),
    ("length/sentences", {"op": "at_least", "n": 2}, "一。二。", True),
    ("length/sentences", {"op": "at_least", "n": 3}, "一。二。", False),
    ("length/paragraphs", {"op": "exactly", "n": 2}, "a\nb\n \n\nc\n", True),
    ("length/paragraphs", {"op": "at_most", "n": 1}, "a\n\nb", False),
]


@pytest.mark.parametrize(("cid", "params", "response", "passes"), VECTORS)
def test_a_vector(cid, params, response, passes) -> None:
    assert check(constraint(cid, params), response).passed == passes


def test_every_type_has_a_place_and_is_seen_to_pass_and_to_fail() -> None:
    placed = [cid for subs in SUBCATEGORIES.values() for cids in subs.values() for cid in cids]
    assert sorted(placed) == sorted(MUL_DIM)
    assert [len(subs) for subs in SUBCATEGORIES.values()] == [3, 4, 2, 3]
    for wanted in (True, False):
        assert {cid for cid, _, _, passes in VECTORS if passes == wanted} == set(MUL_DIM)


@pytest.mark.parametrize(
    ("cid", "params", "said"),
    [
        ("length/words", {"op": "range", "n": 3}, "a range from 3 needs a 'to'"),
        ("length/words", {"op": "range", "n": 3, "to": 2}, "a range from 3 needs a 'to'"),
        ("length/words", {"op": "below", "n": 3}, "found 'below'"),
        ("content/keywords", {"op": "repeat", "keywords": ["a"], "n": 0}, "n: "),
        ("content/identifiers", {"op": "start", "marker": " "}, "marker: "),
    ],
)
def test_wrong_parameters_are_refused(cid, params, said) -> None:
    with pytest.raises(InputError, match=said):
        constraint(cid, params)


def test_the_template_says_the_parameters() -> None:
    words = {"op": "range", "n": 2, "to": 3}
    assert constraint("length/words", words).text == "Write from 2 to 3 words."
    repeat = {"op": "repeat", "keywords": ["a", "{b}"], "n": 2}
    assert constraint(KEYWORDS, repeat).text == "Use each of these exactly 2 times: a, {b}."
    each = constraint("length/words", {"op": "at_most", "n": 9}, "each_bullet")
    assert each.text == "For each bullet point: Write at most 9 words."


@settings(max_examples=60)
@given(st.text(max_size=60) | st.text(st.sampled_from("|-:\n <>=\"'#a。{}[]*"), max_size=60))
def test_no_text_raises(text: str) -> None:
    for cid, params, _, _ in VECTORS:
        assert check(constraint(cid, params), text).outcome in ("pass", "fail")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("part", ["|", "<a ", "a=", "\n", " ", ".", "#", "[", "中", '="', "|-"])
def test_no_long_text_takes_long(part: str) -> None:
    text = part * 30_000
    for cid, params, _, _ in VECTORS[::2]:
        assert check(constraint(cid, params), text, strict=False).outcome in OUTCOMES


OUTCOMES = {"pass", "fail", "error"}
