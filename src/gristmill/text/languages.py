"""Languages: the code of one, however a row names it."""

from __future__ import annotations

from functools import lru_cache

FURTHER = {
    "arb": "ar", "cmn": "zh", "npi": "ne", "ory": "or", "pes": "fa", "swh": "sw", "zsm": "ms",
    "farsi": "fa", "mandarin": "zh", "odia": "or", "punjabi": "pa",
}  # fmt: skip
"""What multilingual sets also write; ISO 639 has the codes, as parts of the wider language."""


@lru_cache(maxsize=1024)
def code_of(lang: str) -> str:
    """Return the code of ISO 639-1 for a code, a tag or an English name; "" where there is none.

    >>> code_of("en-GB"), code_of("eng"), code_of("English"), code_of("hin_Deva"), code_of("python")
    ('en', 'en', 'en', 'hi', '')
    """
    told = lang.strip().casefold()
    found = _codes()
    return found.get(told) or found.get(told.replace("_", "-").partition("-")[0], "")


@lru_cache(maxsize=1)
def _codes() -> dict[str, str]:
    """Return ISO 639-1's code of every code and name; a name without what stands behind it."""
    from pycountry import languages

    found = dict(FURTHER)
    for one in languages:
        if code := getattr(one, "alpha_2", None):
            names = (getattr(one, field, "") for field in ("name", "common_name", "inverted_name"))
            short = (name.partition(" (")[0].partition(",")[0].casefold() for name in names)
            codes = (code, one.alpha_3, getattr(one, "bibliographic", code))
            found |= dict.fromkeys([*codes, *filter(None, short)], code)
    return found
