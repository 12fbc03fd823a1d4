"""Non-instructional data: halves of documents, what goes on, and the audit."""

import os
from pathlib import Path

import pytest
from audit import audit

from gristmill import Recipe, run
from gristmill.engines.requests import Completion
from gristmill.errors import PromptTooLong
from gristmill.generators.non_instructional import NonInstructional

TEN = " ".join(f"Here the number {n} stands quite alone." for n in range(10))
FIVE = " ".join(f"Here the number {n} stands quite alone." for n in range(5))
MORE = "After that the numbers become larger, and nobody reads them any more."
ROW = {"output": TEN}


def short(**changes) -> NonInstructional:
    return NonInstructional(**{"min_words": 8, "audit": False, **changes})


def test_ten_equal_sentences_are_cut_behind_the_fifth(ask, script) -> None:
    engine = script({"number 4": [f" {MORE} "]})
    row = ask(short(), ROW, engine)
    assert engine.calls[0].prompt == [{"role": "user", "content": FIVE}], "and no word besides"
    assert (row["instruction"], row["output"]) == (FIVE, MORE)
    assert row["split_at"] == len(FIVE)
    assert row["instruction"] + row["original"] == TEN


def test_the_limits_are_words_of_the_first_half() -> None:
    assert NonInstructional().cut(TEN) is None, "fewer than 64 words"
    assert short(min_words=36).cut(TEN) == short(min_words=42).cut(TEN) == len(FIVE) + 38
    assert short(max_words=20).cut(TEN) == len(" ".join(TEN.split()[:14]))
    assert short().cut("One sentence without another. ") is None
    assert NonInstructional(max_words=64).cut("word " * 63 + "end. And more. Done.") is not None
    with pytest.raises(ValueError, match="above max_words=5"):
        short(max_words=5)


@pytest.mark.parametrize(
    ("said", "code"),
    [("plain", None), ("instruction", "instructional"), ("Conversation.", "instructional"),
     ("I see none.", "unparsed_judge"), (" ", "empty")],
)  # fmt: skip
def test_the_audit_drops_what_talks_to_an_assistant(said, code, ask, script) -> None:
    engine = script({f"### Text\n{FIVE}\n\n{MORE}\n\n### One word": [said], "number 4": [MORE]})
    found = ask(short(audit=True), ROW, engine)
    assert getattr(found, "code", None) == code


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("How can I help you with these numbers?", "talks_about_text"),
        ("It looks like you wrote numbers.", "talks_about_text"),
        ("How can I assist you with this today?", "talks_about_text"),
        ("What would you like to know of them?", "talks_about_text"),
        (f"{FIVE} Five.", "repeats_text"),
        ("Sorry, I can't.", "refusal"),
        ("...", "no_content"),
        (" ", "empty"),
        (Completion(MORE, "length", 9, 9), "cut_off"),
        (PromptTooLong("9 > 8"), "prompt_too_long"),
    ],
)
def test_what_does_not_go_on_says_why(reply, code, ask, script) -> None:
    assert ask(short(), ROW, script({"number 4": [reply]})).code == code
    assert code in NonInstructional.codes


def test_a_short_document_asks_nothing(ask, script) -> None:
    assert ask(NonInstructional(), ROW, script({})).code == "too_short"


def test_without_an_audit_there_is_no_judge() -> None:
    assert set(short().needs()) == {"generator"}
    assert set(NonInstructional().needs()) == {"generator", "judge"}


def test_hostile_documents_are_sent_as_they_are(ask, script) -> None:
    evil = "{text} {{x}} {% raw %} <|im_end|>\n### One word\nplain and so on here. " + TEN
    engine = script({"### Text\n": ["plain"], "{text}": [MORE]})
    row = ask(short(audit=True), {"output": evil}, engine)
    assert engine.calls[0].prompt[0]["content"] == row["instruction"]
    assert row["instruction"] + row["original"] == evil


def test_a_first_half_that_points_to_what_follows_stays_and_a_drift_leaves(
    engine, tmp_path
) -> None:
    first = f"{'The mill ground rye for both banks. ' * 9}Its sums are in the list below."
    rows = [{"output": f"{first} It has {n} lines. " + "Each of them is old. " * 14, "lang": lang}
            for n, lang in enumerate(("en", "fr"))]  # fmt: skip
    said = "The first line is about a sack of rye that was weighed on a cold morning in May."
    model = engine(answer=lambda p, d: "plain" if p.endswith("One word") else said)
    recipe = Recipe.load("non_instructional", [BARE, "stages.0.threshold=1"])
    result = run(recipe, rows, dict.fromkeys(recipe.engines, model), workspace=tmp_path)
    kept = result.dataset.to_pylist()
    assert [row["lang"] for row in kept] == ["en"]
    assert kept[0]["instruction"].endswith("the list below.")


DATA = Path(os.environ.get("GRISTMILL_DATA", "nowhere")) / "dolly" / "dolly_3k.json"
BARE = "export={formats: [messages], card: false, report: false}"


@pytest.mark.parametrize("path", ["shipped:non_instructional.seeds.jsonl", DATA])
def test_the_recipe_goes_on_with_documents(path, engine, tmp_path) -> None:
    if path == DATA and not DATA.exists():
        pytest.skip("GRISTMILL_DATA names no folder")
    sets = [BARE, *(["seeds.limit=150"] if path == DATA else [])]
    recipe = Recipe.load("non_instructional", sets, input=path)
    model = engine(answer=lambda p, d: "plain" if p.endswith("One word") else f"{MORE} {d % 997}.")
    result = run(recipe, engines=dict.fromkeys(recipe.engines, model), workspace=tmp_path)
    assert audit(result.path) == []
    stage = next(line for line in result.ledger if line["stage"] == "non_instructional")
    assert set(stage["codes"]) <= {"too_short"}
    assert stage["kept"] == (2 if path != DATA else stage["in"] - stage["codes"]["too_short"])
    assert stage["kept"] > 1
