"""Scripts: which alphabet a text is written in, by the names of its characters in Unicode."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache

from gristmill.text.languages import code_of

LINK = re.compile(r"https?://\S+")
"""No language: the letters of an address are Latin everywhere."""
LANGUAGES = {
    "cs da de en es et fi fr hr hu id it ms nl no pl pt ro sk sl sv sw tr vi": ("LATIN",),
    "be bg mk ru sr uk": ("CYRILLIC",),
    "ar fa ur": ("ARABIC",),
    "hi mr ne sa": ("DEVANAGARI",),
    "as bn": ("BENGALI",),
    "pa": ("GURMUKHI",),
    "gu": ("GUJARATI",),
    "or": ("ORIYA",),
    "ta": ("TAMIL",),
    "te": ("TELUGU",),
    "kn": ("KANNADA",),
    "ml": ("MALAYALAM",),
    "zh": ("CJK",),
    "ja": ("HIRAGANA", "KATAKANA", "CJK", "KATAKANA-HIRAGANA"),
    "ko": ("HANGUL",),
    "el": ("GREEK",),
    "he": ("HEBREW",),
    "th": ("THAI",),
}
OF_LANGUAGE = {code: names for codes, names in LANGUAGES.items() for code in codes.split()}
"""ISO 639-1 code -> the scripts of a language."""


def scripts_of(lang: str) -> tuple[str, ...]:
    """Return the scripts of a language, which a tag may name; none where we know no such language.

    >>> scripts_of("hi-IN"), scripts_of("Hindi"), scripts_of("hi-Latn"), scripts_of("xx")
    (('DEVANAGARI',), ('DEVANAGARI',), ('LATIN',), ())
    """
    _, *more = lang.lower().replace("_", "-").split("-")
    return ("LATIN",) if "latn" in more else OF_LANGUAGE.get(code_of(lang), ())


NOT_ASCII = re.compile(r"[^\x00-\x7f]")
NO_LETTERS = bytes(i for i in range(128) if not chr(i).isalpha())


def scripts(text: str) -> Counter[str]:
    """Count the letters of every script."""
    found = Counter[str]()
    if n := len(text.encode("ascii", "ignore").translate(None, NO_LETTERS)):
        found["LATIN"] = n
    if not text.isascii():
        found.update(map(script_of, filter(str.isalpha, NOT_ASCII.findall(text))))
    return found


@lru_cache(maxsize=1 << 16)
def script_of(letter: str) -> str:
    """Return the first word of a letter's name: LATIN, CJK, CYRILLIC; fullwidth Latin is Latin."""
    name = unicodedata.name(unicodedata.normalize("NFKC", letter)[0], "")
    return name.partition(" ")[0]
