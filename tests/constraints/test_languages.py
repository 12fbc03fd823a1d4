import importlib.util

import pytest

from gristmill.constraints.catalogue import check_ifeval
from gristmill.errors import RequirementError

HAS_PACKAGE = importlib.util.find_spec("langdetect") is not None
needs_package = pytest.mark.skipif(not HAS_PACKAGE, reason="langdetect is not installed")
ENGLISH = "This is a plain sentence about the weather in the north of England."
FRENCH = "Voilà une phrase à propos de la météo, là où il a plu à l'été dernier."
LANGUAGE, UPPER = "language:response_language", "change_case:english_capital"
LOWER = "change_case:english_lowercase"


@needs_package
@pytest.mark.parametrize(
    ("cid", "params", "response", "passes"),
    [
        (LANGUAGE, {"language": "en"}, ENGLISH, True),
        (LANGUAGE, {"language": "fr"}, ENGLISH, False),
        (LANGUAGE, {"language": "fr"}, FRENCH, True),
        (LANGUAGE, {"language": "en"}, "12345 !!!", True),
        (UPPER, {}, ENGLISH.upper(), True),
        (UPPER, {}, ENGLISH, False),
        (UPPER, {}, FRENCH.upper(), False),
        (LOWER, {}, ENGLISH.lower(), True),
        (LOWER, {}, ENGLISH, False),
        (LOWER, {}, FRENCH.lower(), False),
    ],
)
def test_a_language_is_told(cid, params, response, passes) -> None:
    assert [check_ifeval([cid], [params], response) for _ in range(3)] == [[passes]] * 3


@pytest.mark.skipif(HAS_PACKAGE, reason="langdetect is installed")
def test_a_missing_package_is_no_verdict() -> None:
    with pytest.raises(RequirementError, match=r"pip install 'gristmill\[languages\]'"):
        check_ifeval([LANGUAGE], [{"language": "en"}], ENGLISH)
