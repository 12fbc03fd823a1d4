import pytest
from pydantic import ValidationError

from gristmill.filters.language import Language
from gristmill.pipelines import Drop

ENGLISH = "Write a short poem about the first warm days of spring in the mountains."
GERMAN = "Schreibe ein kurzes Gedicht über die ersten warmen Tage des Frühlings in den Bergen."
FRENCH = "Écris un court poème sur les premiers jours chauds du printemps à la montagne."
CODE = "```python\nfor wort in liste:\n    drucke(wort, ende, datei, puffer, zeile, absatz)\n```"


def test_a_turn_in_another_language_leaves_with_its_name() -> None:
    stage = Language(lang="de")
    out = stage({"instruction": GERMAN, "output": FRENCH})
    assert (out.code, out.detail[:13]) == ("wrong_language", "assistant: fr")
    assert stage({"instruction": GERMAN, "output": GERMAN}) == {}
    assert stage({"instruction": ENGLISH, "output": GERMAN}).detail.startswith("user: en ")


def test_of_a_pair_the_preferred_answer_is_looked_at() -> None:
    pair = {"instruction": GERMAN, "output": None, "chosen": GERMAN, "rejected": FRENCH}
    assert Language(lang="de")(pair) == {}
    assert Language(lang="de")({**pair, "chosen": FRENCH}).detail.startswith("assistant: fr ")


@pytest.mark.parametrize("lang", ["fr", "FR", "fr-CA", "fr_FR", "fra", "fre", "French"])
def test_a_row_may_say_its_language(lang) -> None:
    assert Language()({"instruction": FRENCH, "output": FRENCH, "lang": lang}) == {}
    assert isinstance(Language()({"instruction": GERMAN, "output": FRENCH, "lang": lang}), Drop)


def test_a_language_in_letters_that_are_not_its_own_stays() -> None:
    assert Language()({"output": ENGLISH, "lang": "hi_Latn"}) == {}, "of which it knows nothing"
    assert Language()({"output": ENGLISH, "lang": "hi-IN"}).code == "wrong_language"
    assert Language()({"output": GERMAN, "lang": "fr-Latn"}).code == "wrong_language"


def test_a_row_that_says_none_stays() -> None:
    assert Language()({"instruction": GERMAN, "output": FRENCH, "lang": None}) == {}


@pytest.mark.parametrize("lang", ["python", "tlh", "nb", "xx", ""])
def test_a_row_whose_language_the_model_does_not_know_stays(lang) -> None:
    assert Language()({"instruction": GERMAN, "output": FRENCH, "lang": lang}) == {}


def test_the_language_of_all_rows_must_be_known() -> None:
    assert Language(lang="German")({"output": FRENCH}).code == "wrong_language"
    with pytest.raises(ValidationError, match="expected one of"):
        Language(lang="tlh")


def test_short_texts_addresses_and_code_say_nothing() -> None:
    stage = Language(lang="en")
    link = "https://beispiel.de/die-ersten-warmen-tage-des-jahres-in-den-bergen"
    short = GERMAN[:44]
    for output in (short, CODE, link, "", "1234567890 " * 20, "\U0001f600"):
        assert stage({"instruction": ENGLISH, "output": output}) == {}, output
    assert isinstance(Language(lang="en", min_letters=10)({"output": short}), Drop)


def test_what_it_is_unsure_about_stays() -> None:
    mixed = f"{ENGLISH} {GERMAN} {ENGLISH}"
    assert Language(lang="de", min_probability=1.0)({"output": mixed}) == {}


def test_a_conversation_is_read_turn_by_turn() -> None:
    said = [("user", ENGLISH), ("assistant", ENGLISH), ("user", "Merci!"), ("assistant", FRENCH)]
    row = {"messages": [{"role": role, "content": content} for role, content in said]}
    assert Language(lang="en")(row).detail.startswith("assistant: fr")
