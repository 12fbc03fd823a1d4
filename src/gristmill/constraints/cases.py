"""Find words in any case, in a time that is linear in the length of a text.

Letters are alike as they are to `re.IGNORECASE`. A pattern of that kind, though, looks at every
place of a text as often as its word is long.
"""

from __future__ import annotations

import re
from functools import lru_cache

PIECE = re.compile(r"\w+|\W")
FORMS = {
    letter: form
    for letter in map(chr, range(128, 0x2000))
    if letter.islower() and len(form := letter.upper().lower()) == 1 and form != letter
}
"""Small letters that share their capital with another one -> that one, which stands for both."""
OTHER_FORM = re.compile(f"[{''.join(FORMS)}]")


@lru_cache(8)
def lower(text: str) -> str:
    """Return a text in small letters: most types ask for that of the same response."""
    return text.lower()


def has(word: str, text: str) -> bool:
    """Say whether a word stands somewhere, also inside another."""
    return folded(word) in folded(text)


def has_whole(word: str, text: str) -> bool:
    """Say whether a word stands somewhere by itself: no letter of it belongs to a longer word."""
    return has(word, text) and _pieces(folded(word)) in _pieces(folded(text))


def count(word: str, text: str) -> int:
    """Count a word, also inside others."""
    return folded(text).count(folded(word))


def folded(text: str) -> str:
    """Return a text of the same length with one form of each letter."""
    return lower(text) if text.isascii() else _folded(text)


@lru_cache(8)
def _folded(text: str) -> str:
    small = text.replace("\u0130", "i").lower()  # the one letter that would become two
    for letter in set(OTHER_FORM.findall(small)):
        small = small.replace(letter, FORMS[letter])
    return small


@lru_cache(8)
def _pieces(text: str) -> str:
    """Return words and single other characters, each between two marks."""
    return "\0" + "\0".join(PIECE.findall(text)) + "\0"
