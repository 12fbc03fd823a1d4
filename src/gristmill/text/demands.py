"""Demands on the form of an answer: what in their words turns the meaning round."""

from __future__ import annotations

import re

from gristmill.text.words import words

QUOTED = re.compile(
    '["\u201c\xab]([^"\u201c\xab\u201d\xbb]+)["\u201d\xbb]'
    "|(?<!\\w)['\u2018]([^'\u2018\u2019]+)['\u2019](?!\\w)"
)
TO_TWENTY = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen twenty
"""
CLASSES = {
    "not": "no not never without avoid none nor don't leave omit exclude skip",
    "least": "least minimum more over above",
    "most": "most maximum max fewer less under below limit limited",
    "exactly": "exactly precisely",
    "upper": "upper uppercase capital capitals capitalised capitalized",
    "lower": "lower lowercase small",
    "first": "begin begins start starts first beginning open opening",
    "last": "end ends finish finishes last close closing",
    "before": "before",
    "after": "after behind",
    "letter": "letter letters character characters",
    "word": "word words",
    "sentence": "sentence sentences",
    "line": "line lines",
    "paragraph": "paragraph paragraphs",
    "comma": "comma commas",
    "question": "question questions",
    "exclamation": "exclamation exclamations",
}
CLASS = {word: name for name, known in CLASSES.items() for word in known.split()}
NUMBER = {word: str(i) for i, word in enumerate(TO_TWENTY.split())} | {"single": "1", "once": "1"}


def turning(text: str) -> frozenset[str]:
    """Return what has to be the same in two demands that say the same, however like they are.

    Numbers, single letters, quoted texts, and the words of `CLASSES`, each for its class: "at
    least five commas" and "at most five commas" have other ones. "One" is often no number.

    >>> turning("Use no comma.") == turning("Do not use any commas.")
    True
    """
    quoted = (a or b for a, b in QUOTED.findall(text))
    said = words(text)
    numbers = (NUMBER.get(word, word) for word in said)
    return frozenset({
        *(f'"{one.casefold()}"' for one in quoted),
        *(CLASS[word] for word in said if word in CLASS),
        *(one for one in numbers if one.isdecimal() and one != "1"),
        *(word for word in said if len(word) == 1 and word.isalpha() and word not in "ai"),
    })  # fmt: skip
