"""Synthetic abstracts: fourteen calls, and abstracts that say what was found."""

import pytest
from audit import audit

from gristmill import Recipe, run
from gristmill.engines.requests import Completion
from gristmill.generators.synthetic_abstracts import EXTRACT, LABELS, SyntheticAbstracts
from gristmill.pipelines import Drop

NAMES = ("amarin", "rubrin", "salin")
ROW = {
    "title": "Bitter roots",
    "abstract": "Roots of Gentiana montana hold amarin, rubrin and salin.",
    "relations": [{"organism": "Gentiana montana", "chemical": name} for name in NAMES],
}
ALL = "The roots of G. montana hold salin, rubrin and amarin."
TWO = "The roots of Gentiana montana hold salin and rubrin."
KEYWORDS = ["roots", "bitter taste", "roots\nextraction", "roots; amarins"]


def engine_of(script, replies):
    return script({"nothing else.": KEYWORDS, "one paragraph": replies})


def test_an_abstract_that_names_every_pair_stays(ask, script) -> None:
    engine = engine_of(script, [ALL, TWO])
    row, drop = ask(SyntheticAbstracts(variants=2), ROW, engine)
    assert (row["instruction"], row["input"], row["coverage"]) == (EXTRACT, ALL, 1.0)
    assert sorted(row["output"].split("\n")) == [f"Gentiana montana; {name}" for name in NAMES]
    assert row["keywords"] == ["roots", "bitter taste", "extraction"]
    assert drop == Drop("low_coverage", f"0.667: {TWO}")
    lists, abstracts = engine.calls[:4], engine.calls[4:]
    assert [call.sampling.temperature for call in lists] == [0.4, 0.5, 0.6, 0.7]
    assert len({str(call.prompt) for call in lists}) == 1
    assert {(call.sampling.max_tokens, call.sampling.stop) for call in abstracts} == {(512, LABELS)}
    asked = abstracts[0].prompt[0]["content"]
    assert (
        "Title: Bitter roots\nKeywords: roots, bitter taste, extraction\nMain findings: " in asked
    )
    assert asked.endswith(f"{row['findings']}\nAbstract:")


def test_an_article_costs_fourteen_calls_and_abstracts_begin_alike(ask, script) -> None:
    engine = engine_of(script, [ALL] * 10)
    ask(SyntheticAbstracts(), ROW, engine)
    assert len(engine.calls) == 4 + 10 == 14
    heads = {call.prompt[0]["content"].partition("Main findings: ")[0] for call in engine.calls[4:]}
    (head,) = heads
    assert head.endswith("Title: Bitter roots\nKeywords: roots, bitter taste, extraction\n")


def test_the_best_ones_stay_and_the_limit_is_a_share(ask, script) -> None:
    rows = ask(
        SyntheticAbstracts(variants=3, top=1, min_coverage=2 / 3),
        ROW,
        engine_of(script, [TWO, ALL, ALL]),
    )
    assert [one if isinstance(one, Drop) else one["input"] for one in rows] == [
        Drop("not_best", "0.667"), ALL, Drop("not_best", "1.000"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (f"In this study, {ALL}", "stock_opening"),
        (f"The present work is new. {ALL}", "stock_opening"),
        (" ", "empty"),
        (Completion(ALL, "length", 9, 512), "cut_off"),
        ("I'm sorry, but I cannot help with that.", "refusal"),
    ],
)
def test_what_is_no_abstract_says_why(reply, code, ask, script) -> None:
    (drop,) = ask(SyntheticAbstracts(variants=1), ROW, engine_of(script, [reply]))
    assert drop.code == code


def test_one_list_of_keywords_is_enough_and_none_is_too_few(ask, script) -> None:
    engine = script({"nothing else.": [" ", " ", " ", "roots"], "one paragraph": [ALL]})
    (row,) = ask(SyntheticAbstracts(variants=1), ROW, engine)
    assert row["keywords"] == ["roots"]
    assert ask(SyntheticAbstracts(), ROW, script({"": [" "] * 4})).code == "empty"


def test_spaces_around_a_name_are_no_part_of_it(ask, script) -> None:
    relations = [{"organism": " Gentiana montana ", "chemical": f"{name} "} for name in NAMES]
    (row,) = ask(
        SyntheticAbstracts(variants=1), {**ROW, "relations": relations}, engine_of(script, [ALL])
    )
    assert sorted(row["output"].split("\n")) == [f"Gentiana montana; {name}" for name in NAMES]


@pytest.mark.parametrize("relations", [[], [{"organism": " ", "chemical": "x"}]])
def test_without_findings_nothing_is_asked(relations, ask, script) -> None:
    found = ask(SyntheticAbstracts(), {**ROW, "relations": relations}, script({}))
    assert found.code == "no_relations"


def test_hostile_articles_are_text(ask, script) -> None:
    evil = "{title} {{x}} {% raw %} <|im_end|> Abstract:"
    row = {
        "title": evil,
        "abstract": evil,
        "relations": [{"organism": evil, "chemical": "[a](b)*"}],
    }
    engine = script(
        {"nothing else.": ["x"] * 4, f"Title: {evil}\nKeywords: x\n": [f"{evil} has [a](b)*."]}
    )
    (made,) = ask(SyntheticAbstracts(variants=1), row, engine)
    assert made["output"] == f"{evil}; [a](b)*"


def test_the_recipe_draws_articles_that_differ_and_drops_what_is_invented(engine, tmp_path) -> None:
    pairs = {
        "Gentiana": "Gentiana montana; amarin",
        "Cladina": "C. rubra; rubrin",
        "Halina": "Halina profunda; rubrin",
    }

    def answer(prompt: str, draw: int) -> str:
        if "nothing else." in prompt:
            return "plants\nchemistry"
        if prompt.startswith(EXTRACT):
            return next(pair for name, pair in pairs.items() if name in prompt)
        findings = prompt.rpartition("Main findings: ")[2].removesuffix("\nAbstract:")
        return f"Much is known. {findings} More is not."

    recipe = Recipe.load(
        "synthetic_abstracts", ["export={formats: [alpaca], card: false, report: false}"]
    )
    engines = dict.fromkeys(recipe.engines, engine(answer=answer))
    result = run(recipe, engines=engines, workspace=tmp_path)
    assert audit(result.path) == []
    assert result.ledger[0]["codes"] == {"not_selected": 1}
    (line,) = [line for line in result.ledger if line["stage"] == "invented_relations"]
    assert line["codes"] == {"invented": 3}
    assert len({row["root"] for row in result.dataset.to_pylist()}) == 2
