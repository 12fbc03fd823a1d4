"""The 25 types of IFEval, judged as the public checker judges them.

Source: Zhou et al., "Instruction-Following Evaluation for Large Language Models",
arXiv:2311.07911, tables 1 and 2; google-research/instruction_following_eval for the details.
Differs from the checker: a keyword is a text and no regular expression, any single character
counts as a letter, and what cannot be judged (no detector, JSON that nests too deep) is an error.
A language that nobody can tell still passes, as there. All searches are linear.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from gristmill.constraints.cases import count, has, has_whole, lower
from gristmill.constraints.kinds import Count, Found, Phrase, Phrases
from gristmill.constraints.languages import language_of
from gristmill.constraints.sentences import count_capital_words, count_sentences

Relation = Literal["at least", "less than"]
Marker = Annotated[str, Field(min_length=1)]

WORD = re.compile(r"\w+")
FOREIGN = re.compile(r"[^\W\x00-\x7f]")
BLANKED = bytes(119 if chr(i).isalnum() or chr(i) == "_" else 32 for i in range(128)).ljust(256)
"""ASCII as `w` where it is in a word, else as a blank."""
ASCII = bytes(range(128))
HIGHLIGHT, BOLD = re.compile(r"\*[^\n*]*\*"), re.compile(r"\*\*[^\n*]*\*\*")
POSTSCRIPTS = {"P.S.": re.compile(r"p\.\s?s\."), "P.P.S": re.compile(r"p\.\s?p\.\s?s")}
ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
WORD_ENDS = frozenset(".,?!'\"")


def existence(text: str, *, keywords: Phrases) -> Found:
    """Every keyword stands somewhere, in any case, also inside a word."""
    missing = [word for word in keywords if not has(word, text)]
    return Found(not missing, _listed("without", missing))


def frequency(text: str, *, keyword: Phrase, frequency: Count, relation: Relation) -> Found:
    """The keyword stands there so often, in any case, also inside a word."""
    return _counted(count(keyword.strip(), text), relation, frequency)


def forbidden_words(text: str, *, forbidden_words: Phrases) -> Found:
    """None of the words stands there as a word, in any case."""
    found = [word for word in forbidden_words if has_whole(word, text)]
    return Found(not found, _listed("with", found))


def letter_frequency(
    text: str,
    *,
    letter: Annotated[str, Field(min_length=1, max_length=1)],
    let_frequency: Count,
    let_relation: Relation,
) -> Found:
    """The letter stands there so often, in any case."""
    return _counted(lower(text).count(letter.lower()), let_relation, let_frequency)


def response_language(text: str, *, language: Phrase) -> Found:
    """The text is in the language, an ISO 639-1 code."""
    found = language_of(text)
    return Found(found in (language, None), found or "unknown")


def number_sentences(text: str, *, num_sentences: Count, relation: Relation) -> Found:
    """Count sentences."""
    return _counted(count_sentences(text), relation, num_sentences)


def number_paragraphs(text: str, *, num_paragraphs: Count) -> Found:
    """Paragraphs are divided by three stars; only the first and the last may be empty."""
    return _equal(_parts(text.split("***")), num_paragraphs)


def number_words(text: str, *, num_words: Count, relation: Relation) -> Found:
    """Words are runs of word characters: `don't` has two."""
    raw = text.encode("utf-8", "replace")
    if not text.isascii() and FOREIGN.search(raw.translate(None, ASCII).decode()):
        return _counted(len(WORD.findall(text)), relation, num_words)
    starts = b" %b" % raw.translate(BLANKED)  # of plain words, many times as fast
    return _counted(starts.count(b" w"), relation, num_words)


def nth_paragraph_first_word(
    text: str, *, num_paragraphs: Count, nth_paragraph: Annotated[int, Field(ge=1)], first_word: str
) -> Found:
    """Paragraphs are divided by two newlines; an empty one shifts those after it."""
    pieces = text.split("\n\n")
    count = sum(bool(piece.strip()) for piece in pieces)
    words = pieces[nth_paragraph - 1].split(None, 1) if nth_paragraph <= count else []
    if not words:
        return Found(False, f"no paragraph {nth_paragraph} of {count}")
    word = words[0].lstrip("'").lstrip('"')
    end = next((i for i, letter in enumerate(word) if letter in WORD_ENDS), len(word))
    found = word[:end].lower()
    holds = count == num_paragraphs and found == first_word.lower()
    return Found(holds, f"{count} paragraphs, '{found}'")


def number_placeholders(text: str, *, num_placeholders: Count) -> Found:
    """Placeholders stand in square brackets on one line."""
    count = sum(map(_brackets, text.split("\n"))) if "[" in text else 0
    return _counted(count, "at least", num_placeholders)


def postscript(text: str, *, postscript_marker: Phrase) -> Found:
    """The marker stands somewhere, in any case; `P. S.` counts as `P.S.`."""
    pattern = POSTSCRIPTS.get(postscript_marker)
    small = lower(text)
    holds = bool(pattern.search(small)) if pattern else postscript_marker.lower() in small
    return Found(holds, "there" if holds else "not there")


def number_bullet_lists(text: str, *, num_bullets: Count) -> Found:
    """Lines that begin with a star or a hyphen, exactly so many; a rule of hyphens is one."""
    lines = [line.lstrip() for line in text.split("\n")]
    return _equal(_stars(lines) + sum(line[:1] == "-" for line in lines), num_bullets)


def constrained_response(text: str) -> Found:
    """One of the three answers stands there word for word."""
    found = [answer for answer in ANSWERS if answer in text]
    return Found(bool(found), _listed("with", found))


def number_highlighted_sections(text: str, *, num_highlights: Count) -> Found:
    """Count what stands between stars, and again between two stars on each side."""
    single = sum(bool(found.strip("*").strip()) for found in HIGHLIGHT.findall(text))
    double = sum(bool(found[2:-2].strip()) for found in BOLD.findall(text))
    return _counted(single + double, "at least", num_highlights)


def multiple_sections(text: str, *, section_spliter: Marker, num_sections: Count) -> Found:
    """Sections begin with the splitter and a number."""
    return _counted(len(_section(section_spliter).findall(text)), "at least", num_sections)


def json_format(text: str) -> Found:
    """All of the response is JSON, with or without a fence; a bare number is.

    Raises:
        RecursionError: it nests too deep; `check` makes an error of it.
    """
    body = text.strip()
    for fence in ("```json", "```Json", "```JSON", "```"):
        body = body.removeprefix(fence)
    try:
        json.loads(body.removesuffix("```").strip())
    except ValueError as error:
        return Found(False, str(error))
    return Found(True, "JSON")


def title(text: str) -> Found:
    """Some line has a title in double angular brackets."""
    holds = "<<" in text and any(map(_is_titled, text.split("\n")))
    return Found(holds, "there" if holds else "not there")


def two_responses(text: str) -> Found:
    """Exactly two different answers, divided by six stars."""
    pieces = text.split("******")
    count = _parts(pieces)
    answers = {piece.strip() for piece in pieces} - {""}
    return Found(count == len(answers) == 2, f"{count} answers, {len(answers)} different")


def repeat_prompt(text: str, *, prompt_to_repeat: Phrase) -> Found:
    """The response begins with the prompt, in any case."""
    holds = lower(text).strip().startswith(prompt_to_repeat.strip().lower())
    return Found(holds, "repeated" if holds else "not repeated")


def end_checker(text: str, *, end_phrase: Phrase) -> Found:
    """The response ends with the phrase, in any case; quotes after it do not count."""
    end = lower(text).strip().strip('"')
    return Found(end.endswith(end_phrase.strip().lower()), end[-40:])


def quotation(text: str) -> Found:
    """All of the response stands in straight double quotes."""
    body = text.strip()
    return Found(len(body) > 1 and body[0] == body[-1] == '"', body[:1] + body[-1:])


def capital_word_frequency(
    text: str, *, capital_frequency: Count, capital_relation: Relation
) -> Found:
    """Count the words that are all capitals."""
    return _counted(count_capital_words(text), capital_relation, capital_frequency)


def english_capital(text: str) -> Found:
    """All letters are capitals, and the language is English or cannot be told."""
    return _in_english(text.isupper(), text, "capitals")


def english_lowercase(text: str) -> Found:
    """No letter is a capital, and the language is English or cannot be told."""
    return _in_english(text.islower(), text, "lower case")


def no_comma(text: str) -> Found:
    """No comma of ASCII."""
    return _equal(text.count(","), 0)


def _counted(count: int, relation: Relation, wanted: int) -> Found:
    return Found(count >= wanted if relation == "at least" else count < wanted, str(count))


def _equal(count: int, wanted: int) -> Found:
    return Found(count == wanted, str(count))


def _parts(pieces: list[str]) -> int:
    """Return the number of pieces with text; -1 when one in the middle has none."""
    is_full = [bool(piece.strip()) for piece in pieces]
    return sum(is_full) if all(is_full[1:-1]) else -1


def _stars(lines: list[str]) -> int:
    """Count lines with one star first; a star alone takes the next line along, as its text."""
    count = 0
    rest = iter(lines)
    for line in rest:
        if line[:1] == "*" and line[1:2] != "*":
            count += line != "*" or next(rest, None) is not None
    return count


def _brackets(line: str) -> int:
    """Count `[...]` on a line: from an opening bracket to the next closing one."""
    count, start = 0, line.find("[")
    while start >= 0 and (end := line.find("]", start)) >= 0:
        count, start = count + 1, line.find("[", end)
    return count


def _is_titled(line: str) -> bool:
    start, end = line.find("<<"), line.rfind(">>")
    inner = line[start : end + 2].lstrip("<").rstrip(">")
    return 0 <= start < end - 2 and bool(inner.strip())


def _in_english(is_cased: bool, text: str, name: str) -> Found:
    if not is_cased:
        return Found(False, f"not all {name}")
    found = language_of(text)
    return Found(found in ("en", None), f"{name}, {found or 'unknown'}")


def _listed(word: str, texts: Iterable[str]) -> str:
    return f"{word} {', '.join(texts) or 'none'}"


@lru_cache(4096)
def _section(splitter: str) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(splitter)}\s?\d+")
