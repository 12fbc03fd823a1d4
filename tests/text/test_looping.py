import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.text.looping import MIN_ZLIB, MIN_ZLIB_CHARS, Loop, loops

STORY = "Once upon a time a knight rode out to find the dragon that had taken the old bridge. "


@pytest.mark.parametrize("text", ["the cat sat on the mat and " * 12, "0" * 400])
def test_what_comes_again_and_again_loops(text) -> None:
    assert loops(text)


@pytest.mark.parametrize("text", [STORY * 2, "Yes. " * 10])
def test_what_comes_again_a_few_times_does_not(text) -> None:
    assert loops(text) is None


COUNTING = {
    "bare": (" ".join(f"{i}." for i in range(1, 401)), "counts on from 1 to 120"),
    "words": ("The commands:\n" + "".join(f"codice_{i}\n" for i in range(1, 60)), "from 1 to 40"),
    "down": (", ".join(f"minus {i}" for i in range(300, 0, -5)), "from 300 to 105"),
    "table": ("\n".join(f"| {i} | {3 * i} kg | none |" for i in range(7, 90)), "from 7 to 46"),
    "between": (" ".join(f"{i}. e4 e5" for i in range(1, 60)), "from 1 to 40"),
    "markdown": ("|a|b|\n|-|-|\n" + "".join(f"|{i}|x|\n" for i in range(80)), "from 0 to 39"),
    "after": ("A list:\n1. Ash\n" + "".join(f"{i}. Oak\n" for i in range(2, 90)), "from 2 to 41"),
}


@pytest.mark.parametrize("kind", COUNTING)
def test_an_answer_that_only_counts_on_loops(kind) -> None:
    text, told = COUNTING[kind]
    assert told in str(loops(text))
    assert Loop(counted=0)(text) is None


PAGE = "http://example.com/questions/82705/what-is-better-about-{}-and-threads"
OTHER = " ".join(f"A{chr(97 + i % 26)}b{chr(97 + i // 26)} cd{i % 7}e" for i in range(150))


def test_one_address_again_and_again_loops_however_few_numbers_stand_between() -> None:
    text = " ".join(f"Question{i}: {PAGE.format('processes')}" for i in range(1, 9))
    assert loops(f"{text}\n{OTHER}") == f"8 times: {PAGE.format('processes'):.60}"
    assert Loop(addresses=9)(f"{text}\n{OTHER}") is None
    assert Loop(addresses=0)(f"{text}\n{OTHER}") is None


HONEST = {
    "addresses": " ".join(PAGE.format(chr(97 + i)) for i in range(12)) + OTHER,
    "address in code": f"```\n{' '.join([PAGE.format('x')] * 12)}\n```\n{OTHER}",
    "to a hundred": " ".join(map(str, range(1, 101))),
    "39 times": "".join(f"codice_{i}\n" for i in range(39)),
    "no step": ", ".join(str(i * i) for i in range(200)),
    "items": "".join(f"{i}. item {chr(97 + i % 26)}{chr(97 + i // 26)}\n" for i in range(100)),
    "code": "```\n" + "".join(f"x{i} = {i}\n" for i in range(200)) + "```",
    "years": f"<select>{''.join(f'<option>{i}</option>' for i in range(1950, 2010))}</select>",
    "table": "|x|y|\n|-|-|\n" + "".join(f"|{i}|{(i * 7919) % 1009}|\n" for i in range(60)),
}


@pytest.mark.parametrize("kind", HONEST)
def test_numbers_that_are_asked_for_are_no_loop(kind) -> None:
    assert loops(HONEST[kind]) is None


def test_a_text_of_many_different_words_is_never_compressed() -> None:
    counting = " ".join(f"{i:012b}" for i in range(1000)).encode()  # compresses, and is no loop
    assert len(zlib.compress(counting)) / len(counting) < MIN_ZLIB
    assert loops._compresses(counting, 1000) is None
    assert loops._compresses(counting, 900)
    again = "the same thing again and " * 200
    assert loops._compresses(again.encode(), 5)


@settings(max_examples=60)
@given(st.lists(st.text("ab \u4e2d", max_size=60), min_size=1, max_size=6), st.integers(1, 200))
def test_half_of_a_text_says_when_the_whole_need_not_be_compressed(parts, times) -> None:
    text = "".join(parts) * times
    raw = text.encode()
    is_small = len(raw) >= MIN_ZLIB_CHARS and len(zlib.compress(raw)) / len(raw) < MIN_ZLIB
    assert bool(loops._compresses(raw, 0)) == is_small
