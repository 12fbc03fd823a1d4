"""The types of MulDimIF: four categories, twelve subcategories, as checks on parameters.

Source: Ye et al., "A Multi-Dimensional Constraint Framework for Evaluating and Improving
Instruction Following in Large Language Models", arXiv:2505.07591, table 1.
Differs from the paper: its checkers look for numbers and words in the sentence that asks for them,
ours have them as parameters. Rows of a table are those below its head. A text is in one Chinese
script when no character of it is only in the character set of the other (GB 2312, Big5).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Annotated, Any, Literal

from pydantic import Field

from gristmill.constraints.kinds import Count, Found, Kind, Phrase, Phrases
from gristmill.constraints.parts import tables_of

Op = Literal["at_least", "at_most", "exactly", "range"]

CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
SENTENCE = re.compile("[.!?\u3002\uff01\uff1f]+")
HEADING = re.compile(r"^(#{1,6})\s+\S", re.MULTILINE)
QUOTE = re.compile(r"^ {0,3}>", re.MULTILINE)
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
TAG = re.compile(r"<[^<>]+>")
ATTRIBUTE = re.compile(r"""(?<![\w:.-])[\w:.-]+\s?=\s?(?:"[^"]*"|'[^']*')""")
"""Name and value in quotes, at the beginning of a name, so that a long name is read once."""


def keywords(
    text: str,
    *,
    op: Literal["include", "avoid", "repeat"],
    keywords: Phrases,
    n: Annotated[int, Field(ge=1)] = 1,
) -> Found:
    """Each keyword stands somewhere, nowhere or exactly n times, in any case."""
    lower = text.lower()
    counts = {word: lower.count(word.lower()) for word in keywords}
    right: dict[str, Callable[[int], bool]] = {
        "include": lambda count: count > 0,
        "avoid": lambda count: count == 0,
        "repeat": lambda count: count == n,
    }
    told = ", ".join(f"{word} {count}" for word, count in counts.items())
    return Found(all(map(right[op], counts.values())), told)


def identifiers(text: str, *, op: Literal["start", "end", "delimit"], marker: Phrase) -> Found:
    """The marker begins the text, ends it, or stands between two parts of it."""
    body, mark = text.strip(), marker.strip()
    between = [part for part in body.split(mark) if part.strip()]
    holds = {
        "start": body.startswith(mark),
        "end": body.endswith(mark),
        "delimit": len(between) > 1,
    }[op]
    return Found(holds, f"{body.count(mark)} times")


def punctuation(text: str, *, op: Literal["end", "exclude"], mark: Phrase) -> Found:
    """The text ends with the mark, or has none."""
    body = text.rstrip()
    holds = body.endswith(mark) if op == "end" else mark not in body
    return Found(holds, f"{body.count(mark)} times, the last character is {body[-1:]}")


def english(text: str, *, op: Literal["upper", "lower", "capitalised"]) -> Found:
    """No letter is of the other case, or no word begins with a small letter of ASCII."""
    small = [word for word in text.split() if "a" <= word[0] <= "z"]
    holds = {"upper": text == text.upper(), "lower": text == text.lower(), "capitalised": not small}
    return Found(holds[op], f"{len(small)} words begin with a small letter")


def chinese(text: str, *, op: Literal["simplified", "traditional"]) -> Found:
    """The text is Chinese, in one script."""
    here, there = ("gb2312", "big5") if op == "simplified" else ("big5", "gb2312")
    letters = sorted(set(CHINESE.findall(text)))
    foreign = [x for x in letters if _encodes(x, there) and not _encodes(x, here)]
    return Found(bool(letters) and not foreign, f"of the other script: {''.join(foreign[:20])}")


def words_of(text: str) -> int:
    """Count what blanks divide; Chinese characters where there are any."""
    return len(CHINESE.findall(text)) or len(text.split())


def sentences_of(text: str) -> int:
    """Count what ends with a mark, of ASCII or Chinese."""
    pieces = SENTENCE.split(text)[:-1]
    return sum(bool(piece.strip()) for piece in pieces)


def paragraphs_of(text: str) -> int:
    """Count what blank lines divide."""
    return sum(has_text for has_text, _ in groupby(text.split("\n"), lambda x: bool(x.strip())))


def json_depth(text: str) -> int:
    """Return how deep objects and lists nest in the JSON of the text; 0 where it is none.

    Raises:
        RecursionError: it nests too deep; `check` makes an error of it.
    """
    fenced = FENCE.search(text)
    try:
        level = [json.loads(fenced[1] if fenced else text)]
    except ValueError:
        return 0
    depth = 0
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [x for one in level for x in (one.values() if isinstance(one, dict) else one)]
    return depth


def _encodes(letter: str, charset: str) -> bool:
    try:
        letter.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def counted(measure: Callable[[str], int | Iterable[int]], name: str) -> Callable[..., Found]:
    """Return a check that compares each count of a measure; without any there is one 0."""

    def compare(text: str, *, op: Op, n: Count, to: Count = 0) -> Found:
        found = measure(text)
        counts = [found] if isinstance(found, int) else [*found] or [0]
        least = n if op != "at_most" else 0
        most = {"at_least": float("inf"), "range": to}.get(op, n)
        return Found(all(least <= count <= most for count in counts), ", ".join(map(str, counts)))

    compare.__name__ = name
    return compare


def _range(params: Mapping[str, Any]) -> str | None:
    if params["op"] == "range" and params["to"] < params["n"]:
        return f"a range from {params['n']} needs a 'to' that is not below it"
    return None


def _numbers(measure: Callable[[str], int | Iterable[int]], name: str, asks: str) -> Kind:
    template = {
        "at_least": asks.format("at least {n}"),
        "at_most": asks.format("at most {n}"),
        "exactly": asks.format("exactly {n}"),
        "range": asks.format("from {n} to {to}"),
    }
    return Kind(counted(measure, name), template, _range)


MUL_DIM: dict[str, Kind] = {
    "content/keywords": Kind(
        keywords,
        {
            "include": "Use these keywords: {keywords}.",
            "avoid": "Do not use these words: {keywords}.",
            "repeat": "Use each of these exactly {n} times: {keywords}.",
        },
    ),
    "content/identifiers": Kind(
        identifiers,
        {
            "start": "Begin with {marker}",
            "end": "End with {marker}",
            "delimit": "Put {marker} between the parts of your answer.",
        },
    ),
    "content/punctuation": Kind(
        punctuation,
        {"end": "The last character is {mark}", "exclude": "Do not use the mark {mark}"},
    ),
    "format/headings": _numbers(
        lambda text: len(set(HEADING.findall(text))),
        "headings",
        "Use Markdown headings of {} different levels.",
    ),
    "format/quotes": _numbers(
        lambda text: len(QUOTE.findall(text)), "quotes", "Write {} lines as Markdown block quotes."
    ),
    "format/json": _numbers(json_depth, "json", "Write JSON that nests {} levels deep."),
    "format/xml": _numbers(
        lambda text: sum(len(ATTRIBUTE.findall(tag)) for tag in TAG.findall(text)),
        "xml",
        "Write XML with {} attributes in all.",
    ),
    "format/rows": _numbers(
        lambda text: [len(table) - 1 for table in tables_of(text)],
        "rows",
        "A table has {} rows below its head.",
    ),
    "format/columns": _numbers(
        lambda text: [len(table[0]) for table in tables_of(text)],
        "columns",
        "A table has {} columns.",
    ),
    "language/english": Kind(
        english,
        {
            "upper": "Write all of it in English and in capital letters.",
            "lower": "Write all of it in English, without a capital letter.",
            "capitalised": "Begin every word with a capital letter.",
        },
    ),
    "language/chinese": Kind(
        chinese,
        {"simplified": "Write simplified Chinese.", "traditional": "Write traditional Chinese."},
    ),
    "length/words": _numbers(words_of, "words", "Write {} words."),
    "length/sentences": _numbers(sentences_of, "sentences", "Write {} sentences."),
    "length/paragraphs": _numbers(
        paragraphs_of, "paragraphs", "Write {} paragraphs with a blank line between them."
    ),
}
SUBCATEGORIES: dict[str, dict[str, tuple[str, ...]]] = {
    "Content": {
        "Keywords": ("content/keywords",),
        "Identifiers": ("content/identifiers",),
        "Punctuation": ("content/punctuation",),
    },
    "Format": {
        "Markdown": ("format/headings", "format/quotes"),
        "Json": ("format/json",),
        "XML": ("format/xml",),
        "Table": ("format/rows", "format/columns"),
    },
    "Language": {"English": ("language/english",), "Chinese": ("language/chinese",)},
    "Length": {
        "Words": ("length/words",),
        "Sentences": ("length/sentences",),
        "Paragraphs": ("length/paragraphs",),
    },
}
"""The paper's names for them: category, subcategory, ids."""
