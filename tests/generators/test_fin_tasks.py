"""FinGPT's tasks: bins of scores, nine questions of a headline, options in any order."""

import pytest
from audit import audit

from gristmill import Recipe, run
from gristmill.generators.fin_tasks import QUESTIONS, SENTIMENT, FinTasks
from gristmill.pipelines import Drop

ROW = {"sentence": "Gold rose to {x} {{y}} {% raw %} <|im_end|>\n### Options"}


@pytest.mark.parametrize(
    ("score", "label"),
    [
        (-0.11, "negative"),
        (-0.1, "neutral"),
        (0.0, "neutral"),
        (0.09, "neutral"),
        (0.1, "positive"),
    ],
)
def test_scores_fall_into_half_open_bins(score, label, ask, script) -> None:
    (row,) = ask(FinTasks(), {**ROW, "score": score}, script({}))
    assert (row["output"], row["input"]) == (label, ROW["sentence"])
    expected = "What is the sentiment of this news?\nOptions: negative, neutral, positive"
    assert row["instruction"] == expected


def test_a_headline_is_nine_rows(ask, script) -> None:
    answers = {name: name in ("price_or_not", "price_up") for name in QUESTIONS}
    rows = ask(FinTasks(task="headline"), {**ROW, "answers": answers}, script({}))
    assert [row["output"] for row in rows] == ["yes", "yes", *["no"] * 7]
    assert len({row["instruction"] for row in rows}) == 9
    answers["price_constant"] = None
    rows = ask(FinTasks(task="headline"), {**ROW, "answers": answers}, script({}))
    assert rows[2].code == "no_label", "every question has a column of its own"


def test_entities_and_relations_are_lists(ask, script) -> None:
    named = [{"name": "Ada", "type": "person"}, {"name": "Bank", "type": "organization"}]
    stated = [{"head": "Ada", "relation": "leads", "tail": "Bank"}]
    row = {**ROW, "entities": named, "relations": stated}
    (entities,) = ask(FinTasks(task="entities"), row, script({}))
    (relations,) = ask(FinTasks(task="relations"), row, script({}))
    assert entities["output"] == "Ada is a person; Bank is an organization"
    assert relations["output"] == "leads: Ada, Bank"


def test_zero_shot_asks_in_other_ways_with_options_in_any_order(ask, script) -> None:
    stage, orders, ways = FinTasks(zero_shot=True), set(), set()
    for seed in range(30):
        (row,) = ask(stage, {**ROW, "label": "positive", "kind": "tweet"}, script({}), seed)
        way, options = row["instruction"].split("\nOptions: ")
        assert sorted(options.split(", ")) == sorted(SENTIMENT)
        assert "tweet" in way
        orders.add(options)
        ways.add(way)
    assert (len(orders), len(ways)) == (6, 3)
    assert ask(stage, {**ROW, "label": "neutral"}, script({}))[0].code == "neutral"


@pytest.mark.parametrize("row", [{}, {"label": "glad"}, {"label": " "}])
def test_what_has_no_label_leaves(row, ask, script) -> None:
    (found,) = ask(FinTasks(), {**ROW, **row}, script({}))
    assert isinstance(found, Drop)
    assert found.code == "no_label"


def test_the_recipe_balances_sources_without_copies(tmp_path) -> None:
    bare = "export={formats: [alpaca], card: false, report: false}"
    result = run(Recipe.load("fin_tasks", [bare]), engines={}, workspace=tmp_path)
    assert audit(result.path) == []
    rows = result.dataset.to_pylist()
    assert len({row["input"] for row in rows}) == len(rows)
    seen = dict.fromkeys(("news", "tweets"), 0)
    for row in rows:
        seen[row["source"]] += row["picks"]["mixture"]["times"]
    assert seen == {"news": 4, "tweets": 4}


def test_in_rounds_a_target_counts_every_row_since_nobody_is_asked(tmp_path) -> None:
    stages = [{"use": "generators.fin_tasks"}]
    recipe = Recipe(name="fin", stages=stages, rounds={"n": 2}, target=2)
    result = run(recipe, [{**ROW, "label": "positive"}] * 6, workspace=tmp_path)
    assert (result.stop, result.dataset.num_rows) == ("target", 2)
    assert result.ledger[-1]["codes"] == {"over_target": 4}
