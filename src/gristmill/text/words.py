"""Words: what text rules compare instead of characters."""

from __future__ import annotations

import re
from itertools import islice

WORD = re.compile(r"\w+(?:'\w+)*")
SPACED = bytes(
    ord(chr(i).lower()) if chr(i).isalnum() or chr(i) in "_'" else 32 for i in range(128)
)
"""What becomes of every character of plain text where words are cut at spaces."""
TEXT = """
a about after again all also am an and any are as at be because been before being but by can
could did do does doing down each else even ever few for from further get got had has have
having he her here hers him his how i if in into is it its itself just let may me might more
most much must my no nor not now of off ok okay on once one only or other our ours out over
own please same she should so some such than that the their theirs them then there these they
this those through to too under until up us very was we well were what when where which while
who whom whose why will with would yes you your yours
"""
STOP_WORDS = frozenset(TEXT.split())
"""English words that carry no content of their own."""


def words(text: str) -> list[str]:
    """Return the words of a text, case-folded, without punctuation."""
    if not text.isascii():
        return WORD.findall(_folded(text))
    # A third of the time, where most texts are plain: nothing is matched.
    spaced = text.encode().translate(SPACED.ljust(256)).decode()
    if "'" in spaced:
        if "''" in spaced:
            return WORD.findall(spaced)
        spaced = f" {spaced} ".replace(" '", " ").replace("' ", " ")
    return spaced.split()


def first_words(text: str, n: int) -> list[str]:
    """Return the first `n` of a text's words: a long text costs no more than a short one."""
    return [match.group() for match in islice(WORD.finditer(_folded(text)), n)]


def _folded(text: str) -> str:
    return text.casefold().replace("\u2019", "'")
