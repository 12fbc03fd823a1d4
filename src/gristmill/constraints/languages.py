"""Tell the language of a text, with the package and the profiles that IFEval's checker uses.

Source: Shuyo, "Language Detection Library for Java", 2010; langdetect is its port to Python.
Differs from the checker: the seed is fixed, so that a text always gets the same answer.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from gristmill.errors import RequirementError

MAX_CHARS = 40_000
"""The package looks at 10,000 characters, after it has taken addresses out of all that it gets."""


def language_of(text: str) -> str | None:
    """Return the ISO 639-1 code of the language, such as `en`; None when nothing tells it.

    Unreliable below about 20 characters. Takes milliseconds, and a second at first use.

    Raises:
        RequirementError: langdetect is not installed.
    """
    factory, nothing_found = _factory()
    detector = factory.create()
    detector.append(text[:MAX_CHARS])
    try:
        return str(detector.detect())
    except nothing_found:
        return None


def load() -> None:
    """Load what tells languages, which takes a second.

    Raises:
        RequirementError: langdetect is not installed.
    """
    _factory()


@lru_cache(1)
def _factory() -> tuple[Any, type[Exception]]:
    """Return what makes detectors, and the error of a text without features."""
    try:
        from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory
        from langdetect.lang_detect_exception import LangDetectException
    except ImportError as error:
        raise RequirementError(
            "constraints on the language need the package langdetect: "
            "pip install 'gristmill[languages]'"
        ) from error
    factory = DetectorFactory()
    factory.load_profile(PROFILES_DIRECTORY)
    factory.seed = 0
    return factory, LangDetectException
