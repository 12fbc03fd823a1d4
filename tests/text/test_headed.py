"""Parts of replies, found in one look."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.text.headed import headed, tagged

HEADS = re.compile(r"(?m)^a:"), re.compile(r"(?m)^b:")
PLAIN = re.compile(r"(?ms)\A(.+?)^a:(.*?)^b:(.*)\Z")
PIECES = st.lists(st.sampled_from(["a:", "b:", "\n", "x", " "]), max_size=12).map("".join)
TAGS = st.lists(st.sampled_from(["<a>", "</a>", "<b>", "</b>", "x"]), max_size=12).map("".join)


@given(PIECES)
def test_heads_stand_where_one_pattern_would_find_them(text) -> None:
    found = PLAIN.search(text)
    assert headed(text, *HEADS) == (found and [part.strip() for part in found.groups()])


@given(TAGS)
def test_tags_are_those_that_one_pattern_would_find(text) -> None:
    assert tagged(text, ["a", "b"]) == re.findall(r"<(a|b)>(.*?)</\1>", text)


@pytest.mark.parametrize("opening", ["<a>", "<b>x</a>", "<a><b>", "</a>", "<a"])
def test_many_openings_without_an_end_is_read_once(opening) -> None:
    assert tagged(opening * (200_000 // len(opening)), ["a", "b"]) == []


@pytest.mark.parametrize("line", ["\n", "a:\n", " \n", "x\n"])
def test_many_lines_without_the_last_head_is_read_once(line) -> None:
    assert headed(line * (200_000 // len(line)), *HEADS) is None
