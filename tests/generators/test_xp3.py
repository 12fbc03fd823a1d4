"""xP3: rows times templates, choices, and templates in a row's own language."""

import json

import pytest
from audit import audit

from gristmill import Recipe, run
from gristmill.engines.requests import Completion
from gristmill.generators.xp3 import Template, Xp3

ROW = {"premise": "It rains.", "hypothesis": "{premise} is wet.", "label": 1, "lang": "de"}
MUST = Template(
    name="must", inputs="{premise} So {hypothesis} {choices}?", targets="{choice}",
    choices=["Yes", "No"],
)  # fmt: skip
SAID = {
    "inputs": "{premise} Also {hypothesis} {choices}?",
    "targets": "{choice}",
    "choices": ["Ja", "Nein"],
}


def test_a_row_is_rendered_by_every_template(ask, script) -> None:
    write = Template(name="write", inputs="Write of {hypothesis}", targets="{premise}")
    one, two = ask(Xp3(templates=[MUST, write]), ROW, script({}))
    assert one["instruction"] == "It rains. So {premise} is wet. Yes, No?", "text is never a place"
    assert (one["output"], one["template"], one["prompt_lang"]) == ("No", "must", "en")
    assert (two["instruction"], two["output"]) == ("Write of {premise} is wet.", "It rains.")
    assert Xp3(templates=[MUST]).reads() == {"premise", "hypothesis", "label"}


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"premise": None}, "open_place"),
        ({"premise": ""}, "open_place"),
        ({"label": 2}, "no_choice"),
        ({"label": -1}, "no_choice"),
        ({"label": "No"}, "no_choice"),
    ],
)
def test_no_place_stays_open(row, code, ask, script) -> None:
    assert ask(Xp3(templates=[MUST]), {**ROW, **row}, script({}))[0].code == code


OWN = Xp3(templates=[MUST], prompt_lang="own", languages=[("de", "German")])


def test_a_template_is_translated_once_for_all_rows_of_a_language(ask, script) -> None:
    engine = script({"### Translate into\nGerman": [json.dumps(SAID)]})
    (row,) = ask(OWN, ROW, engine)
    assert row["instruction"] == "It rains. Also {premise} is wet. Ja, Nein?"
    assert (row["output"], row["prompt_lang"]) == ("Nein", "de")
    (call,) = engine.calls
    assert call.draw is None, "greedy: the store answers the other rows"
    assert "It rains" not in call.prompt[0]["content"]
    assert ask(OWN, {**ROW, "lang": "en"}, script({}))[0]["prompt_lang"] == "en"


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (json.dumps({**SAID, "inputs": "{premise} Also {choices}?"}), "lost_place"),
        (json.dumps({**SAID, "targets": "{wahl}"}), "lost_place"),
        (json.dumps({**SAID, "choices": ["Ja"]}), "lost_place"),
        (" ", "empty"),
        (Completion(json.dumps(SAID), "length", 9, 1), "cut_off"),
    ],
)
def test_a_translation_that_lost_a_place_leaves(reply, code, ask, script) -> None:
    assert ask(OWN, ROW, script({"": [reply]}))[0].code == code


def test_a_refusal_is_repaired_once(ask, script) -> None:
    engine = script({"": ["I'm sorry, I can't."] * 2})
    assert ask(OWN, ROW, engine)[0].code == "bad_json"


def test_the_recipe_makes_rows_times_templates(tmp_path) -> None:
    bare = "export={formats: [alpaca], card: false, report: false}"
    result = run(Recipe.load("xp3", [bare]), engines={}, workspace=tmp_path)
    assert audit(result.path) == []
    assert (result.ledger[0]["in"], result.ledger[0]["kept"]) == (6, 18)
    assert not any("{" in text for text in result.dataset["instruction"].to_pylist())
