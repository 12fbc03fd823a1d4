"""Patterns for replies look at a long text once, and find what the plain ones found."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.text.judged_tasks import analysis_in
from gristmill.text.math_answers import extract
from gristmill.text.measures import spelled
from gristmill.text.numbered import ITEM, numbered, numbered_after
from gristmill.text.pre_query import cleaned
from gristmill.text.same_code import is_evidence, lex
from gristmill.text.sentences import sentence_ends

PLAIN_REST = re.compile(r"\n\s*\n(?=\S)(?!\s*\d)|\n(?=\s*[*#]*[A-Z][\w -]{0,40}:[*]*\s*\n)")
PLAIN_MARK = re.compile(r"\s*(?:\n|^|(?<=[.?!]))\s*(?:answer|response|output|a)\s*:\s*$", re.I)
LINES = st.lists(st.sampled_from(["1. ", "2) ", "x", "A:", "**Up:**", "\n", " ", "7"]), max_size=14)
MARKED = st.lists(st.sampled_from(["a", "Answer", ":", ".", "\n", " ", "pizz", "?"]), max_size=9)


def read(text: str) -> None:
    extract(text)
    analysis_in(text)
    numbered(f"1. {text}")
    numbered_after(text, "list")
    cleaned(f"x{text}", ())


@pytest.mark.parametrize(
    "unit",
    ["<answer>", "<answer: yes, ", "<answer: no   ", "\n", " \n  ", "a: ", "a :", "*", "#\n"],
)
def test_a_long_text_is_read_once(unit) -> None:
    read(unit * (200_000 // len(unit)))
    read(f"<answer: yes{unit * (200_000 // len(unit))}x")


PLAIN_END = re.compile(r"[.!?\u2026]+[\"'\u201d\u2019)\]]*(?=\s|$)|\n\s*\n")
PLAIN_SIGN = re.compile(r"\s*([€°])")
PLAIN_LEXEME = re.compile(
    r"(?P<skip>\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|\#[^\n]*|\\\r?\n)"
    r"|(?P<string>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
    r"|(?P<name>[^\W\d]\w*)|(?P<other>\d[\w.]*|[^\s\w])"
)
SIGNS = st.lists(st.sampled_from([*"ab1.?!)] =#\n\r\\\"'€°", "'''", '"""', "\\\n"]), max_size=20)


@pytest.mark.parametrize("unit", ['"\\', "\"'\\", "?", ".", ")", " ", " \n"])
def test_runs_of_one_sign_are_read_once(unit) -> None:
    text = f"x{unit * (80_000 // len(unit))}z"
    assert is_evidence(text) == (unit in ('"\\', "\"'\\", "?", ".", ")"))
    assert sentence_ends(text)[-1] == len(text)
    assert spelled(text).startswith("x")


@given(SIGNS.map("".join))
def test_tokens_sentences_and_signs_end_where_they_did(text) -> None:
    found = [m for m in PLAIN_LEXEME.finditer(text) if m.lastgroup != "skip"]
    bare = [f"'{m[0][1:-1]}'" if m.lastgroup == "string" else m[0] for m in found]
    assert lex(text).texts == bare
    ends = [m.end() for m in PLAIN_END.finditer(text)]
    assert [*sentence_ends(text)][: len(ends)] == ends
    assert spelled(f"x{text}x") == PLAIN_SIGN.sub(
        lambda m: " euro " if m[1] == "€" else " degree ", f"x{text}x"
    )


@given(LINES.map("".join))
def test_items_end_where_they_did(text) -> None:
    plain = (PLAIN_REST.split(item, maxsplit=1)[0] for item in ITEM.split(text)[1:])
    flat = (" ".join(item.split()).strip("* ") for item in plain)
    assert numbered(text) == [item for item in flat if item]


@given(MARKED.map("".join))
def test_a_marker_at_the_end_leaves_as_it_did(text) -> None:
    assert cleaned(f"What {text}", ()) == PLAIN_MARK.sub("", f"What {text}".strip()).strip()


def test_the_last_of_two_tags_counts() -> None:
    assert extract("<answer>1 <ANSWER>2</answer>") == "2"
