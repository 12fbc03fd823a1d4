"""Verified counts, known limits, prices and topics, with worked numbers."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from gristmill import Recipe
from gristmill.publishing import card, maps, prices, report, verified
from gristmill.publishing.files import RunFiles
from tests.publishing.conftest import unlinked

PASSES = [
    {"passed": True, "verified_by": "values", "flaky": None},
    {"passed": True, "verified_by": "stdio", "flaky": None},
    {"passed": True, "verified_by": "asserts", "flaky": False},
    {"passed": True, "verified_by": "asserts", "flaky": None},
    {"passed": True, "verified_by": "asserts", "flaky": True},
    {"passed": False, "verified_by": "values", "flaky": None},
    {"passed": None, "verified_by": None, "flaky": None},
]
OTHER = [None, None, None, {"passed": True, "verified_by": "values", "flaky": None}, *[None] * 3]


@pytest.fixture
def judged(finished) -> RunFiles:
    """A run whose dataset has the passes above, by two verifiers."""
    path = finished()
    (file,) = (path / "dataset" / "data").glob("*.parquet")
    table = pq.read_table(file).slice(0, len(PASSES))
    both = pa.array([{"a": a, "b": b} for a, b in zip(PASSES, OTHER, strict=True)])
    place = table.column_names.index("verdicts")
    pq.write_table(table.set_column(place, "verdicts", both), file)
    return RunFiles.open(path)


def test_a_pass_counts_by_how_it_was_found(judged) -> None:
    n, kinds = verified.counts(judged)
    assert n == 4
    assert kinds == {"values": 2, "stdio": 1, verified.TWICE: 1, verified.ONCE: 2}
    text = unlinked("\n".join(verified.section(judged)))
    assert "Verified rows: 4 of 7." in text
    assert "- asserts, run once: 2 (not counted)" in text


def test_the_card_says_what_nobody_looked_for(judged) -> None:
    said = "\n".join(verified.limits(judged))
    assert "No program bears out 3 of the rows" in unlinked(said)
    assert "benchmarks" in said
    assert "personal data" in said
    assert "near-duplicates" not in said
    assert f"## Known limits\n\n{said}" in card.render(judged)


def test_every_code_of_the_yield_leads_to_its_rows(finished) -> None:
    page = report.write(finished()).read_text()
    for place in ("write-unparsed", "verdict-failed_tests", "near_duplicates-near_duplicate"):
        assert page.count(f'href="#{place}"') == page.count(f'id="{place}"') == 1


def test_prices_of_hours_and_tokens_become_a_cost_per_row(finished) -> None:
    path = finished()
    lock = yaml.safe_load((path / "recipe.lock.yaml").read_text())
    lock["recipe"]["prices"] = {"hour": 7.2, "million_tokens": {"generator": 50.0}}
    lock["recipe"]["engines"]["generator"]["replicas"] = 3
    (path / "recipe.lock.yaml").write_text(yaml.safe_dump(lock))
    run = RunFiles.open(path)
    hours = 29.5 / 3600 * 4  # three replicas and the scorer
    told = dict(prices.costs(run))
    assert told["engine time, h"] == pytest.approx(hours)
    assert told["cost, USD"] == pytest.approx(hours * 7.2 + 40_000 / 1e6 * 50)
    assert "| cost, USD | [2.24](#what-each-command-paid) |" in card.render(run)
    assert "Cost, USD" in report.write(path).read_text()
    (path / "costs" / "1-1.json").unlink()
    assert "engine time, h" not in dict(prices.costs(RunFiles.open(path)))


@pytest.mark.parametrize(
    ("of_scorer", "slots", "n"), [("logprobs", None, 4), ("vllm", None, 3), ("logprobs", 1, 3)]
)
def test_an_engine_that_roles_share_and_a_slot_that_models_share_are_paid_once(
    finished, of_scorer, slots, n
) -> None:
    path = finished()
    lock = yaml.safe_load((path / "recipe.lock.yaml").read_text())
    generator = {"use": "vllm", "model": "demo", "replicas": 3}
    scorer = generator if of_scorer == "vllm" else lock["recipe"]["engines"]["scorer"]
    lock["recipe"] |= {"engines": {"generator": generator, "scorer": scorer}, "slots": slots}
    (path / "recipe.lock.yaml").write_text(yaml.safe_dump(lock))
    told = dict(prices.costs(RunFiles.open(path)))
    assert told["engine time, h"] == pytest.approx(29.5 / 3600 * n)


def test_a_recipe_has_prices_and_they_decide_no_row() -> None:
    stages = [{"use": "filters.length"}]
    given = {"name": "a", "stages": stages, "prices": {"hour": 2.5, "currency": "EUR"}}
    assert Recipe.model_validate(given).prices.hour == 2.5
    with pytest.raises(ValueError, match="currency"):
        Recipe.model_validate({**given, "prices": {"currency": "euros"}})


def test_terms_tell_a_topic_from_the_others() -> None:
    texts = ["Sort the list quickly", "Sort a list of words", "Bake the bread", "Bread and list"]
    found = maps.terms(texts, np.array([0, 0, 1, 1]))
    # 4.5 terms a topic: sort 2/5 log(1 + 4.5/2), list 2/5 log(1 + 4.5/3), bread 2/4 log(3.25).
    assert found[0][:2] == ("sort", "list")
    assert found[1][0] == "bread"


def test_rows_that_are_near_each_other_are_a_topic_of_the_map() -> None:
    rng = np.random.default_rng(1)
    which = rng.integers(0, 3, 180)
    noise = rng.normal(0, 0.01, (180, 8))
    vectors = (np.eye(3, 8, dtype=np.float32)[which] + noise).astype(np.float32)
    said = ("apples pears", "buses trains", "lions tigers")
    made = maps.topics(vectors, [said[i] for i in which], vectors[:, :2], [i == 0 for i in which])
    assert {" ".join(one.terms): one.n for one in made} == {
        text: int((which == i).sum()) for i, text in enumerate(said)
    }
    kept = {one.terms: one.kept for one in made}
    assert kept[("apples", "pears")] == sum(kept.values()) == int((which == 0).sum())
    assert maps.topics(vectors[:9], ["a"] * 9, vectors[:9, :2], [True] * 9) == []
