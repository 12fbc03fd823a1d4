import pytest
from pydantic import ValidationError

from gristmill.filters.script import Script
from gristmill.pipelines import Drop

ENGLISH = "The river rises in the mountains and ends in the sea."
CHINESE = "这条河发源于山中流入大海是国家最长的河流"
RUSSIAN = "Река начинается здесь"
HINDI = "बरगद की शाखाओं से जड़ें नीचे लटकती हैं और मोटी होकर पेड़ को सहारा देती हैं"
TAMIL = "வீட்டின் முன் ஒரு மரம் இருக்கிறது"
ROMAN = "bargad ki shakhaon se jaden niche latakti hain"


def judged(output: str, lang: str | None = "en", **changes: object) -> Drop | None:
    row = {"instruction": "Hi", "output": output, "lang": lang}
    return Script(**changes)(row) or None


@pytest.mark.parametrize(
    ("output", "lang", "wanted"),
    [
        (ENGLISH, "en", None),
        (ENGLISH, "en-GB", None),
        (CHINESE, "en", Drop("wrong_script", "assistant: CJK 100%")),
        (CHINESE, "zh", None),
        (ENGLISH, "zh", Drop("wrong_script", "assistant: LATIN 100%")),
        (RUSSIAN, "ru", None),
        (RUSSIAN, "python", None),
        (CHINESE, "eng", Drop("wrong_script", "assistant: CJK 100%")),
        (CHINESE, "English", Drop("wrong_script", "assistant: CJK 100%")),
        (HINDI, "hin_Deva", None),
        (HINDI, "nepali", None),
        (HINDI, "Bengali", Drop("wrong_script", "assistant: DEVANAGARI 100%")),
        (HINDI, "hi", None),
        (TAMIL, "ta-IN", None),
        (HINDI, "ta", Drop("wrong_script", "assistant: DEVANAGARI 100%")),
        (TAMIL, "tagalog", None),
        (ROMAN, "hi_Latn", None),
        (HINDI, "hi-Latn", Drop("wrong_script", "assistant: DEVANAGARI 100%")),
        (ROMAN, "hi", Drop("wrong_script", "assistant: LATIN 100%")),
        (RUSSIAN, None, None),
        (CHINESE[:10], "en", None),
        (f"{CHINESE}\n```\n{ENGLISH * 5}\n```\nhttps://example.com/{'x' * 90}", "zh", None),
        ("\U0001f600" * 99, "en", None),
        (
            "".join(chr(ord(letter) + 0xFEE0) for letter in "Theriverrisesinthehills"),
            "en",
            None,
        ),
    ],
)
def test_letters_must_be_of_the_language(output, lang, wanted) -> None:
    assert judged(output, lang) == wanted


def test_of_a_pair_the_preferred_answer_is_looked_at() -> None:
    pair = {"instruction": "Hi", "chosen": ENGLISH, "rejected": CHINESE, "lang": "en"}
    assert Script()(pair) == {}
    assert Script()({**pair, "chosen": CHINESE}) == Drop("wrong_script", "assistant: CJK 100%")


def test_a_few_names_of_another_script_are_allowed() -> None:
    half = ENGLISH[:20] + CHINESE[:18]
    assert judged(ENGLISH + CHINESE[:10]) is None
    assert judged(half).code == "wrong_script"
    assert judged(half, min_rate=0.3) is None


def test_the_language_of_all_rows_can_be_named() -> None:
    assert Script(lang="en")({"output": CHINESE, "lang": "zh"}).code == "wrong_script"
    assert Script(lang="eng")({"output": CHINESE}).code == "wrong_script"
    with pytest.raises(ValidationError, match="expected one of"):
        Script(lang="xx")
