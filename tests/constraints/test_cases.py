"""Words in any case, as patterns find them, but in linear time."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gristmill.constraints.cases import count, folded, has, has_whole
from gristmill.constraints.catalogue import check_ifeval

TRICKY = "\u017f\u212a\u0131\u0130\u00b5\u03bc\u039c\u03c3\u03c2\u03a3\u03b2\u03d0\u1e9e\ufb00"
LETTERS = st.text(st.sampled_from("aAbsSkKiIßé\0_-+ " + TRICKY), max_size=12)


@given(LETTERS, LETTERS)
@example("\u0130", "i")
@example("\u0391\u03a3", "\u03b1\u03c2 \u03b1\u03c3")
def test_any_case_is_that_of_a_pattern(word: str, text: str) -> None:
    if word:
        pattern = re.compile(re.escape(word), re.IGNORECASE)
        assert has(word, text) == bool(pattern.search(text))
        assert count(word, text) == len(pattern.findall(text))


def test_letters_of_all_scripts_have_the_forms_that_a_pattern_takes_for_one() -> None:
    for letter in map(chr, range(0x11000)):
        if not letter.isprintable() or (form := folded(letter)) == letter:
            continue
        assert len(form) == 1
        assert re.fullmatch(re.escape(form), letter, re.IGNORECASE), letter


@given(LETTERS, LETTERS, st.sampled_from("as\u017féK"), st.sampled_from("as\u017féK"))
def test_a_whole_word_is_no_part_of_another(text, middle, first, last) -> None:
    for word in (first, first + middle + last):
        whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
        for response in (text, text + word, f"{text} {word}-{text}"):
            assert has_whole(word, response) == bool(whole.search(response))


def test_what_is_no_letter_ends_by_itself() -> None:
    assert has_whole("c++", "Written in C++17.")
    assert not has_whole("c++", "objc++")
    assert not has_whole("c++", "c+ +")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["a" * (5_000 + i) + "b" for i in range(100)], "é" + "a" * 999_999),
        (["b-" + "ab-" * (1_500 + i) + "a" for i in range(100)], "é" + "ab-" * 333_000),
        (["- " * (2_400 + i) + "!" for i in range(100)], "é" + "- " * 490_000 + "!x"),
    ],
)
def test_no_keyword_takes_long(words, text) -> None:
    cids = ["keywords:existence", "keywords:forbidden_words"]
    kwargs = [{"keywords": words}, {"forbidden_words": words}]
    assert len(check_ifeval(cids, kwargs, text)) == 2
