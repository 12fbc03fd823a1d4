"""Forecasts: hand-counted runs, and whether the stated ranges hold what they should."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gristmill import Recipe
from gristmill.engines.progress import Progress
from gristmill.forecasting.forecasting import START, _engines_s, _own_s, is_narrow, larger
from gristmill.forecasting.measuring import Clock, slowness
from gristmill.forecasting.predicting import Crowd, Sample, _thinned, draw_runs, range_of
from gristmill.forecasting.sampling import Found, find
from gristmill.pipelines.recipe import Budget
from gristmill.pipelines.runners import LocalRunner
from gristmill.pipelines.workspace import execute, prepare
from gristmill.storage.ids import digest

VOTES = Path(__file__).parents[1] / "evol_votes.yaml"
WORDS = ["river", "stone", "lamp", "paper", "cloud", "wheel", "glass", "seven", "north", "silver"]


def answer(prompt: str, draw: int) -> str:
    """Answer at a length that differs from seed to seed; now and then not at all."""
    chance = int(digest(prompt, draw)[:6], 16)
    if prompt.endswith("### Same or different"):
        return "different" if chance % 9 else "same"
    if chance % 7 == 0:
        return ""
    base = re.search(r"### Base instruction\n(.*)\n", prompt)
    n = 3 + chance % 11 + 10 * (len(prompt) % 5)
    said = " ".join(WORDS[(chance >> i % 20) % 10] for i in range(n))
    return f"{base[1]} Then say {said}." if base else f"It is {said}."


def constant(n: int) -> Sample:
    """Seeds of 2 answers, 10 tokens and a row each; the last column is the one stage's."""
    return Sample(np.tile([2.0, 10.0, 1.0, 1.0], (1, n, 1)), 1, 2)


def small(**more) -> Recipe:
    return Recipe(name="small", stages=[{"use": "filters.length"}], **more)


@pytest.mark.parametrize(
    ("aim", "used", "waves"),
    [
        ({}, 100, 1),
        ({"target": 30}, 32, 2),  # a tenth, then 20 rows more x 1.1
        ({"target": 8}, 10, 1),
        ({"target": 200}, 100, 2),
        ({"budget": {"tokens": 250}}, 25, 4),  # tenths, then what the rest of the budget pays for
    ],
)
def test_seeds_and_waves_are_those_of_the_run(aim, used, waves) -> None:
    drawn = draw_runs(small(**aim), constant(10), 100)
    plain = np.arange(0, len(drawn.seeds), 2)  # the others also meet seeds that keep nothing
    assert set(drawn.seeds[plain]) == {used}
    assert drawn.totals[0].tolist() == [2 * used, 10 * used, used, used]
    if "budget" not in aim:
        assert set(drawn.waves[plain]) == {waves}


def test_what_was_seen_is_certain_and_ten_of_ten_do_not_prove_all() -> None:
    seen = draw_runs(small(), constant(10), 10)
    assert np.ptp(seen.totals, axis=0).max() == 0
    rows = range_of(draw_runs(small(), constant(10), 1000).totals[:, 2])
    assert rows.expected == rows.high == 1000
    assert 700 < rows.low < 960
    none = Sample(np.tile([2.0, 10.0, 0.0, 0.0], (1, 10, 1)), 1, 2)
    rows = range_of(draw_runs(small(), none, 1000).totals[:, 2])
    assert rows.low == rows.expected == 0
    assert 40 < rows.high < 300


def test_a_seed_unlike_the_sample_may_leave_at_any_stage_and_then_costs_less() -> None:
    """Of 75 like each other: the first stage loses as many as the last, answers fewer than rows."""
    figures = np.tile([2.0, 10.0, 1.0, 1.0, 1.0, 1.0], (1, 75, 1))
    drawn = draw_runs(small(), Sample(figures, 1, 2), 1500).totals
    answers, _, rows, first, *_ = (range_of(column) for column in drawn.T)
    assert 1450 < first.low == rows.low < 1490
    assert 2 * rows.low < answers.low < 2990
    assert answers.high == 3000


def test_ten_seeds_give_a_range_somewhat_wider_than_students_t() -> None:
    values = np.random.default_rng(3).normal(100, 20, 10)
    figures = np.stack([values, values, values, values], axis=1)[None]
    found = range_of(draw_runs(small(), Sample(figures, 1, 2), 10**6).totals[:, 0] / 10**6)
    half = 2.15 * values.std(ddof=1) / np.sqrt(10)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)
    assert found.expected == pytest.approx(values.mean(), rel=0.03)


@pytest.mark.parametrize(
    ("aim", "n_seeds", "most"),
    [({}, 10_000, 20), ({}, 300, 15), ({"target": 300}, 10_000, 15), ({}, 100, 5),
     ({"target": 10_000, "budget": {"tokens": 2400}}, 10_000, 12)],
)  # fmt: skip
def test_a_sample_doubles_within_five_percent(aim, n_seeds, most) -> None:
    assert larger(small(**aim), Found([], constant(10)), n_seeds) == most


@pytest.mark.parametrize(
    ("kept", "aim", "is_enough"),
    [([1.0, 1.0], {}, True), ([0.0, 1.0], {}, False), ([0.0, 0.0], {}, False),
     ([0.0, 1.0], {"target": 100}, True)],
)  # fmt: skip
def test_a_sample_is_large_enough_when_it_tells_tokens_and_rows(kept, aim, is_enough) -> None:
    figures = np.tile([2.0, 10.0, 1.0, 1.0], (1, 40, 1))
    figures[0, :, 2] = kept * 20
    assert is_narrow(small(**aim), Found([], Sample(figures, 1, 2)), 10_000) is is_enough


def test_the_machine_may_become_as_idle_or_as_busy_as_it_was() -> None:
    assert slowness((3.0, 3.0, 3.0), 2) == (1, 1)
    assert slowness((6.0, 2.0, 14.0), 2) == (0.5, 2.0)


def test_what_a_replay_asked_again_is_no_time_of_our_own() -> None:
    """Of 100 s an engine loaded for 70 and worked for 20: it is in the engines' time."""
    told = {"sandbox": {"waiting": 1.0, "busy_s": 20.0}}
    one = Progress("", 1, 0, 0, 0, 0, 1, 0, 70.0, engines=told)
    own = Clock(10)
    own(replace(one, starting=["sandbox"]))
    own(replace(one, wall_s=100.0))
    none: Any = SimpleNamespace(plan=SimpleNamespace(uses=[]))
    found = _own_s(np.zeros(3), own, np.ones(3), np.ones(3), none)
    assert found == pytest.approx(10.0)


def test_engines_work_as_fast_as_the_largest_command_or_with_more_in_flight() -> None:
    """Of 10 seeds 100 tokens/s while warming up, of 40 then 400 with a fifth of the room used."""
    clocks = []
    for n, made in ((10, 1000), (40, 4000)):
        told = {"generator": {"waiting": float(n), "busy_s": 10.0}}
        one = Progress("", 1, 0, 0, 0, made, n, 0, 8.0, engines=told)
        clocks.append(Clock(n))
        clocks[-1](replace(one, starting=["generator"]))
        clocks[-1](replace(one, wall_s=18.0))
    engine = SimpleNamespace(window=200)
    what: Any = SimpleNamespace(
        engines={"generator": engine}, seeds=SimpleNamespace(rows=range(4000))
    )
    worked = _engines_s(np.full(400, 40_000.0), clocks, what)
    assert worked is not None
    found = range_of(worked)
    fast, slow = 40_000 / (400 * 5), 40_000 / 400
    assert fast + 8 * START[0] < found.low < found.high < slow + 8 * START[1]
    assert found.high / found.low > 0.8 * (slow + 8 * START[1]) / (fast + 8 * START[0])


LIKE = ["engines={}", "seeds={}", "export={card: false, report: false}"]
RECIPES = {
    "evol_instruct": ["stages.0.rounds=2", "stages.5={use: scorers.word_count}",
                      "stages.6={use: selectors.longest, k: 50}", "target=100"],
    str(VOTES): ["target=30"],
    "urial": ["target=25"],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES, ids=["evol_instruct", "votes", "urial"])
def test_of_ten_facts_eight_lie_in_the_ranges_of_ten_seeds(name, engine, tmp_path) -> None:
    """Ten seeds of sixty, drawn again and again; the whole run says what each would have become."""
    recipe = Recipe.load(name, [*LIKE, *RECIPES[name]])
    full = recipe.model_copy(update={"target": None, "budget": Budget()})
    seeds = [{"instruction": f"Name {i} things of a {WORDS[i % 10]}."} for i in range(60)]
    prepared = prepare(full, seeds, {"generator": engine(answer=answer)})
    made = execute(prepared, LocalRunner(rows_per_shard=1), tmp_path)
    ids, store = sorted(prepared.seeds.ids), tmp_path / ".gristmill" / "answers.sqlite"
    found = find(made.path, made.note, prepared.plan, ids, store)
    every, at = found.sample, {name: i for i, name in enumerate(found.names)}
    whole = every.figures.sum(axis=(0, 1))
    assert whole[at["answers"]] == sum(made.note["calls"].values())
    assert whole[at["tokens"]] == made.note["tokens"]
    assert whole[at["written"]] == made.note["tokens"] - 10 * whole[at["answers"]]
    kept = {f"kept by {line['stage']}": line["kept"] for line in made.ledger}
    assert {n: whole[i] for n, i in at.items() if " " in n}.items() <= kept.items()

    held = []
    for number in range(20):
        order = np.random.default_rng(number).permutation(60)
        drawn = draw_runs(recipe, replace(every, figures=every.figures[:, order[:10]]), 60).totals
        fact = draw_runs(recipe, replace(every, figures=every.figures[:, order]), 60).totals[0]
        low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
        held.append((np.floor(low) <= fact) & (fact <= np.ceil(high)))
    told = [i for name, i in at.items() if name not in ("answer_bytes", "lines")]
    rates = np.mean(held, axis=0)[told]
    assert rates.mean() >= 0.8, dict(zip(at, rates, strict=False))
    assert rates.min() < 1, "ranges that hold everything say nothing"


@pytest.mark.parametrize(("n_texts", "heavy"), [(150, False), (3000, False), (400, True)])
def test_what_is_lost_to_the_rows_of_other_seeds_is_foreseen_to_grow(n_texts, heavy) -> None:
    """Forty of 800 seeds, each with one text of a pool, of equal or of very different texts."""
    rng = np.random.default_rng(5)
    weights = 1 / np.arange(1, n_texts + 1) if heavy else np.ones(n_texts)
    held = []
    for _ in range(40):
        texts = rng.choice(n_texts, 800, p=weights / weights.sum()).tolist()
        seen, fact = len({*texts[:40]}), len({*texts})
        sample = Sample(np.zeros((1, 40, 4)), 1, 2, (Crowd(3, 40, 40 - seen),))
        rows = range_of(np.array([seen * 20 * _thinned(sample, rng)(800)[2] for _ in range(200)]))
        held.append(rows.low <= fact <= rows.high)
    least = 0.95 if heavy or n_texts > 1000 else 0.7  # a pool of equal texts is the model's edge
    assert np.mean(held) >= least, np.mean(held)


def test_only_likes_of_other_seeds_grow_with_the_rows() -> None:
    found = Found(["rows", "kept by same"], Sample(np.zeros((1, 2, 2)), 0, 0))
    found.crowd("kept by same", [
        {"id": "a", "root": "a", "end_detail": ""},
        {"id": "b", "root": "a", "end_detail": "of a"},
        {"id": "c", "root": "c", "end_detail": "0.93 of b"},
        {"id": "d", "root": "c", "end_detail": "too short"},
    ])  # fmt: skip
    assert [*found.sample.crowds] == [Crowd(1, 4, 1)]
    found.names.append("kept by like")
    found.crowd("kept by like", [{"id": "a", "root": "a", "end_detail": None}])
    assert [*found.sample.crowds] == [Crowd(1, 4, 1), Crowd(2, 2, 1)]
