"""The 25 types of IFEval: the golden vectors of the public checker, and its plain definitions."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.constraints.catalogue import IFEVAL, check, check_ifeval, constraint
from gristmill.constraints.judging import variants
from gristmill.constraints.kinds import Verdict
from gristmill.errors import InputError

SENTENCES = {"num_sentences": 3, "relation": "at least"}
EXISTENCE, FREQUENCY = "keywords:existence", "keywords:frequency"
FORBIDDEN, LETTERS = "keywords:forbidden_words", "keywords:letter_frequency"
WORDS, PARAGRAPHS = "length_constraints:number_words", "length_constraints:number_paragraphs"
NTH = "length_constraints:nth_paragraph_first_word"
BULLETS = "detectable_format:number_bullet_lists"
HIGHLIGHTS = "detectable_format:number_highlighted_sections"
SECTIONS, TITLE = "detectable_format:multiple_sections", "detectable_format:title"
PLACEHOLDERS = "detectable_content:number_placeholders"
POSTSCRIPT, JSON = "detectable_content:postscript", "detectable_format:json_format"
TWO, REPEAT = "combination:two_responses", "combination:repeat_prompt"
END, QUOTATION, COMMA = "startend:end_checker", "startend:quotation", "punctuation:no_comma"
CAPITALS, ANSWERS = "change_case:capital_word_frequency", "detectable_format:constrained_response"
SENTENCE_COUNT = "length_constraints:number_sentences"
THIRD = {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "world"}


def at_least(name: str, count: int, key: str = "relation", **more: object) -> dict[str, object]:
    return {name: count, key: "at least", **more}


def below(name: str, count: int, key: str = "relation", **more: object) -> dict[str, object]:
    return {name: count, key: "less than", **more}


GOLDEN = [
    (EXISTENCE, {"keywords": ["cat"]}, "The CATalogue is here", True),
    (EXISTENCE, {"keywords": ["cat", "dog"]}, "The CATalogue is here", False),
    (EXISTENCE, {"keywords": ["c++"]}, "plain c plus plus", False),  # there a regular expression
    (EXISTENCE, {"keywords": ["c++"]}, "plain C++", True),
    (EXISTENCE, {"keywords": ["(a"]}, "any", False),  # there it raises
    (FORBIDDEN, {"forbidden_words": ["cat"]}, "catalogue", True),
    (FORBIDDEN, {"forbidden_words": ["cat"]}, "a Cat.", False),
    (FORBIDDEN, {"forbidden_words": ["c++"]}, "I like C++ most", False),
    (FREQUENCY, at_least("frequency", 2, keyword="cat"), "cat catalogue", True),
    (FREQUENCY, below("frequency", 2, keyword="cat"), "cat cat", False),
    (FREQUENCY, below("frequency", 2, keyword="cat"), "Cat", True),
    (LETTERS, at_least("let_frequency", 3, "let_relation", letter="A"), "Aa b a", True),
    (LETTERS, below("let_frequency", 3, "let_relation", letter="a"), "Aa b a", False),
    (LETTERS, at_least("let_frequency", 2, "let_relation", letter="#"), "#a #b", True),
    (WORDS, at_least("num_words", 3), "don't stop", True),
    (WORDS, at_least("num_words", 4), "well-known e-mail", True),
    (WORDS, below("num_words", 3), "one two three", False),
    (WORDS, at_least("num_words", 4), "well \u2014 so\u2003it_is", False),
    (WORDS, at_least("num_words", 4), "\u2014 so\u2003it_is naïve 中文", True),
    (PARAGRAPHS, {"num_paragraphs": 2}, "a\n***\nb", True),
    (PARAGRAPHS, {"num_paragraphs": 2}, "a\n\nb", False),
    (PARAGRAPHS, {"num_paragraphs": 2}, "a\n***\n\n***\nb", False),
    (PARAGRAPHS, {"num_paragraphs": 2}, "***\na\n***\nb\n***", True),
    (PARAGRAPHS, {"num_paragraphs": 2}, "a\n****\nb", True),
    (NTH, THIRD, 'Hello, you\n\n"World" is', True),
    (NTH, THIRD, "Hello\n\n\n\nWorld", False),
    (NTH, THIRD, "Hello\n\nWord", False),
    (NTH, THIRD, "a\n\nWorld\n\nc", False),
    (BULLETS, {"num_bullets": 3}, "* a\n- b\n---", True),
    (BULLETS, {"num_bullets": 2}, "**bold** line\n* a\n* b", True),
    (BULLETS, {"num_bullets": 1}, "* a\n* b", False),
    (HIGHLIGHTS, {"num_highlights": 2}, "**a** and *b*", True),
    (HIGHLIGHTS, {"num_highlights": 3}, "**a** **b**", False),
    (HIGHLIGHTS, {"num_highlights": 2}, "***a***", True),
    (HIGHLIGHTS, {"num_highlights": 3}, "***a***", False),
    (SECTIONS, {"section_spliter": "Section", "num_sections": 2}, "Section 1 a Section 2", True),
    (
        SECTIONS,
        {"section_spliter": "Section", "num_sections": 2},
        "Section1 Section2 Section3",
        True,
    ),
    (SECTIONS, {"section_spliter": "Section", "num_sections": 1}, "SECTION 1 x", False),
    (SECTIONS, {"section_spliter": "Section", "num_sections": 1}, "Section one", False),
    (PLACEHOLDERS, {"num_placeholders": 3}, "[a] [b][c]", True),
    (PLACEHOLDERS, {"num_placeholders": 2}, "[a [b]]", False),
    (POSTSCRIPT, {"postscript_marker": "P.S."}, "bye\np.s. hi", True),
    (POSTSCRIPT, {"postscript_marker": "P.S."}, "bye\nPS: hi", False),
    (POSTSCRIPT, {"postscript_marker": "P.P.S"}, "bye\nP. P. S hi", True),
    (POSTSCRIPT, {"postscript_marker": "P.P.S"}, "bye\nP.S. hi", False),
    (POSTSCRIPT, {"postscript_marker": "NB:"}, "bye\nnb: hi", True),
    (JSON, {}, '```json\n{"a": 1}\n```', True),
    (JSON, {}, 'Here: {"a":1}', False),
    (JSON, {}, "3", True),
    (JSON, {}, '{"a":1,}', False),
    (TITLE, {}, "<<Hi>>", True),
    (TITLE, {}, "<< >>", False),
    (TITLE, {}, "<<<Hi>>>", True),
    (TWO, {}, "a ****** b", True),
    (TWO, {}, "a ****** a", False),
    (TWO, {}, "a ****** b ****** c", False),
    (TWO, {}, "a ****** ****** b", False),
    (REPEAT, {"prompt_to_repeat": "Say Hi"}, "  say hi. Hi", True),
    (REPEAT, {"prompt_to_repeat": "Say hi"}, '"Say hi" Hi', False),
    (END, {"end_phrase": "Any more?"}, 'Well. "any MORE?"', True),
    (END, {"end_phrase": "Any more?"}, "Any more? ok", False),
    (QUOTATION, {}, '"a"', True),
    (QUOTATION, {}, '"', False),
    (QUOTATION, {}, "“a”", False),
    (COMMA, {}, "a,b", False),
    (COMMA, {}, "a，b", True),  # noqa: RUF001
    (ANSWERS, {}, "Well. My answer is yes. Ok", True),
    (ANSWERS, {}, "my answer is yes.", False),
    (CAPITALS, at_least("capital_frequency", 2, "capital_relation"), "It is NASA's ROV.", True),
    (CAPITALS, below("capital_frequency", 2, "capital_relation"), "IT'S", False),
    (SENTENCE_COUNT, SENTENCES, "One. Two! Three?", True),
    (SENTENCE_COUNT, SENTENCES, "Mr. A. Smith has 3.5 e.g. here. Two", False),
]


@pytest.mark.parametrize(("cid", "params", "response", "passes"), GOLDEN)
def test_a_golden_vector(cid, params, response, passes) -> None:
    assert check_ifeval([cid], [params], response) == [passes]
    if passes:
        assert check_ifeval([cid], [params], response, strict=False) == [True]


def test_the_vectors_pass_and_fail_every_type_but_those_on_language() -> None:
    on_language = {"language:response_language", "change_case:english_capital"}
    on_language |= {"change_case:english_lowercase"}
    for wanted in (True, False):
        seen = {cid for cid, _, _, passes in GOLDEN if passes == wanted}
        assert set(IFEVAL) - seen <= on_language
    assert len(IFEVAL) == 25


def test_loosely_any_of_the_eight_forms_is_enough() -> None:
    text = "Sure: **here**,\n*a*\nBye, all"
    assert list(variants(text)) == [
        "*a*\nBye, all",
        "Sure: **here**,\n*a*",
        "*a*",
        "Sure: here,\na\nBye, all",
        "a\nBye, all",
        "Sure: here,\na",
        "a",
    ]
    assert check_ifeval([COMMA], [{}], text) == [False]
    assert check_ifeval([COMMA], [{}], text, strict=False) == [True]
    assert check_ifeval([COMMA], [{}], "a,\nb,\nc,", strict=False) == [False]
    wanted = {"num_words": 2, "relation": "less than"}
    assert check_ifeval([COMMA, WORDS], [{}, wanted], "a b c\nd e,", strict=False) == [True, False]


@pytest.mark.parametrize("response", [None, "", " \n\t"])
def test_a_blank_response_follows_nothing(response) -> None:
    ids, kwargs = [COMMA, JSON, WORDS], [{}, None, below("num_words", 3)]
    assert check_ifeval(ids, kwargs, response) == [False] * 3
    assert check_ifeval(ids, kwargs, response, strict=False) == [False] * 3


def test_what_cannot_be_judged_is_an_error_and_no_pass() -> None:
    deep, long = "[" * 200_000 + "]" * 200_000, "a " * 500_001
    assert check(constraint(JSON, {}), deep) == Verdict("error", "it nests too deep to be read")
    assert check_ifeval([JSON], [{}], deep, strict=False) == [False]
    assert check(constraint(COMMA, {}), long).outcome == "error"
    assert check_ifeval([COMMA], [{}], long) == [False]


def test_a_verdict_says_what_was_measured() -> None:
    assert check(constraint(WORDS, below("num_words", 3)), "a b c") == Verdict("fail", "3")
    words = constraint(EXISTENCE, {"keywords": ["a", "x", "y"]})
    assert check(words, "a b") == Verdict("fail", "without x, y")


def test_ids_of_m_ifeval_and_parameters_that_are_none() -> None:
    padded = {"num_words": 3, "relation": "less than", "num_bullets": None, "keywords": None}
    assert check_ifeval(["en:" + WORDS], [padded], "a b") == [True]


@pytest.mark.parametrize(
    ("cid", "params", "said"),
    [
        ("keywords:existance", {}, "did you mean 'keywords:existence'?"),
        ("x", {}, "there is no constraint 'x'; KINDS of the catalogue has all"),
        (WORDS, {"num_words": 3}, "'relation' is missing"),
        (WORDS, {"num_words": None, "relation": "at least"}, "'num_words' is missing"),
        (WORDS, {"num_words": -1, "relation": "at least"}, "greater than or equal to 0, found -1"),
        (WORDS, {"num_words": 1, "relation": "at most"}, "found 'at most'"),
        (WORDS, {"num_word": 1, "relation": "at least"}, "there is no 'num_word'"),
        (EXISTENCE, {"keywords": []}, "at least 1 item"),
        (EXISTENCE, {"keywords": [" "]}, "keywords.0"),
    ],
)
def test_a_wrong_constraint_is_refused(cid, params, said) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        check_ifeval([cid], [params], "text")


def test_every_instruction_has_its_parameters() -> None:
    with pytest.raises(InputError, match="2 instruction_ids, but 1 kwargs"):
        check_ifeval([COMMA, JSON], [{}], "text")


MARKUP = st.text(st.sampled_from("abé—_*-[]<>#\n\r\t \x0b.,?!'\"1Pps{}:SECTION"), max_size=60)


@given(MARKUP)
def test_linear_searches_find_what_the_public_patterns_find(text: str) -> None:
    stars = re.findall(r"^\s*\*[^\*].*$", text, re.MULTILINE)
    hyphens = re.findall(r"^\s*-.*$", text, re.MULTILINE)
    measured = {
        BULLETS: (len(stars) + len(hyphens), {"num_bullets": 1}),
        PLACEHOLDERS: (len(re.findall(r"\[.*?\]", text)), {"num_placeholders": 1}),
        SECTIONS: (
            len(re.split(r"\s?S\s?\d+\s?", text)) - 1,
            {"section_spliter": "S", "num_sections": 1},
        ),
    }
    measured[WORDS] = (len(re.findall(r"\w+", text)), at_least("num_words", 1))
    for cid, (count, params) in measured.items():
        if text.strip():
            assert check(constraint(cid, params), text).measured == str(count)
    titles = [found.lstrip("<").rstrip(">").strip() for found in re.findall(r"<<[^\n]+>>", text)]
    assert check_ifeval([TITLE], [{}], text) == [any(titles)]
    marked = bool(re.findall(r"\s*p\.\s?s\..*$", text.lower(), re.MULTILINE))
    assert check_ifeval([POSTSCRIPT], [{"postscript_marker": "P.S."}], text) == [marked]


SAFE = {cid: params for cid, params, *_ in GOLDEN}
"""One set of parameters of every type that needs no language."""


@settings(max_examples=40)
@given(st.text(max_size=80) | MARKUP)
def test_no_text_raises_and_loose_is_never_less_than_strict(text: str) -> None:
    strict = check_ifeval(list(SAFE), list(SAFE.values()), text)
    loose = check_ifeval(list(SAFE), list(SAFE.values()), text, strict=False)
    assert all(b >= a for a, b in zip(strict, loose, strict=True))
    assert strict == check_ifeval(list(SAFE), list(SAFE.values()), text)
    assert not any(loose) or text.strip()


@settings(max_examples=50)
@given(st.text(min_size=1, max_size=9), st.text(max_size=30), st.text(max_size=30))
def test_a_keyword_is_found_as_it_is_written(word: str, before: str, after: str) -> None:
    if word.strip():
        params = [{"keywords": [word]}, at_least("frequency", 1, keyword=word)]
        assert check_ifeval([EXISTENCE, FREQUENCY], params, before + word + after) == [True, True]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "part", ["[", "<<", "*", "\n", " ", ".", "1.", "S ", "a", "p. ", "'", "* "]
)
def test_no_long_text_takes_long(part: str) -> None:
    text = (part * 100_000)[:100_000] + "x"
    assert len(check_ifeval(list(SAFE), list(SAFE.values()), text, strict=False)) == len(SAFE)
