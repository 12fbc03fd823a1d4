import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from report_size import repeat

from gristmill.commands import building
from gristmill.errors import InputError, TooManyErrors
from gristmill.pipelines.waves import Stop
from gristmill.publishing import card, charts, facts, report
from gristmill.publishing.checks import problems
from gristmill.publishing.files import RunFiles
from tests.publishing.conftest import BILL


class Tags(HTMLParser):
    """Collects elements and the attributes that could load or run something."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.active: list[tuple[str, str]] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.names.add(tag)
        self.active += [(k, v) for k, v in attrs if k.startswith("on") or k in ("src", "href")]


def tags_of(text: str) -> Tags:
    tags = Tags()
    tags.feed(text)
    return tags


def test_text_of_rows_makes_no_element_and_no_attribute(finished) -> None:
    text = report.write(finished()).read_text()
    found = tags_of(text)
    assert not found.names & {"script", "img", "link", "iframe", "object", "form"}
    assert found.active  # links inside the page, from codes to rows, and nothing else
    assert all(k == "href" and re.fullmatch(r"#\w+-\w+", v) for k, v in found.active)
    assert "&lt;script&gt;document.title=" in text
    assert "{{ 7 * 7 }}" in text  # shown, not computed
    assert not set(text) & set("\x1b\x07\u202e")
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_the_report_shows_every_part(finished) -> None:
    path = finished()
    text = report.write(path).read_text()
    stages = json.loads((path / "ledger.json").read_text())["stages"]
    for at in stages:
        assert f"<h3>{at['stage']}</h3>" in text
        for code, n in at["codes"].items():
            assert f'href="#{at["stage"]}-{code}">{code} <b>{n}</b></a>' in text
            assert f"<b>{code}</b> <span>{n} at {at['stage']}</span>" in text
    for part in ("yield", "verification", "scores", "map", "cost", "engines", "examples"):
        assert f'<section id="{part}">' in text
    assert re.search(r"ifd\.ppl</h3>", text)
    assert "Tokens per second" in text
    assert "the run ended because every seed was used" in text.lower()
    assert "PSF-2.0" in text


def test_a_run_without_scores_verdicts_or_counts_is_reported_too(
    recipe, engine, seeds, tmp_path
) -> None:
    from gristmill import run

    result = run(recipe(), seeds(), {"generator": engine()}, workspace=tmp_path)
    note = json.loads((result.path / "ledger.json").read_text())
    for name in ("calls", "roles", "wall_s"):
        note.pop(name, None)
    (result.path / "ledger.json").write_text(json.dumps(note))
    shutil.rmtree(result.path / "costs")
    text = report.write(result.path).read_text()
    assert "word_count" in text
    assert '<section id="verification">' not in text
    assert "Nothing to plot: no command on this run had to call an engine." in text


def test_an_empty_dataset_is_reported(recipe, engine, seeds, tmp_path) -> None:
    from gristmill import run

    sets = ["stages.1.min_chars=9000"]
    result = run(recipe(*sets), seeds(), {"generator": engine()}, workspace=tmp_path)
    assert len(result.dataset) == 0
    text = report.write(result.path).read_text()
    assert "No row was kept." in text
    assert "too_short <b>" in text


def test_a_run_that_its_error_rate_stopped_has_a_report_and_no_card(
    recipe, engine, seeds, tmp_path
) -> None:
    from gristmill import run

    def broken(prompt: str, draw: int) -> str:
        raise ZeroDivisionError(prompt)

    def grown(target: int, answers: Any) -> Path:
        wanted = recipe(f"target={target}", "stages.-1.k=1")
        return run(wanted, seeds(40), {"generator": answers}, workspace=tmp_path).path

    path = grown(1, engine())
    before = card.write(path).read_text()
    with pytest.raises(TooManyErrors):
        grown(30, engine(answer=broken))
    text = report.write(path).read_text()
    assert "The run ended because too many rows failed" in text
    assert "No row was kept." in text, "what the dataset folder holds is of an earlier end"
    with pytest.raises(InputError, match="has no dataset: it stopped because too many rows failed"):
        card.write(path)
    assert (path / "dataset" / "README.md").read_text() == before
    [wrong] = problems(RunFiles.open(path))
    assert wrong.startswith("the dataset's files are missing")


def test_every_reason_to_stop_has_words() -> None:
    assert report.WORDS.keys() == building.WHY.keys() == set(get_args(Stop))


def test_a_histogram_counts_every_value_once() -> None:
    rng = np.random.default_rng(0)
    every = np.concatenate([rng.normal(0, 1, 999), [1e9]])
    svg = str(charts.histogram(every, every[:100], "x"))
    counts = re.findall(r": ([\d,]+) rows, ([\d,]+) kept", svg)
    assert sum(int(n.replace(",", "")) for n, _ in counts) == 1000
    assert sum(int(k.replace(",", "")) for _, k in counts) == 100


def test_values_that_are_all_the_same_are_drawn() -> None:
    same = np.full(5, 3.0)
    assert "5 rows, 0 kept" in charts.histogram(same, same[:0], "x")
    assert charts.scatter(np.zeros((4, 2), np.float32), [True] * 4)


def test_names_on_a_map_stand_apart_at_every_width() -> None:
    points = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    names = [(f"{i} heron{i}", (0.02 * i, 0.0)) for i in range(1, 13)]
    svg = str(charts.scatter(points, [True] * 50, names))
    at = [(float(x), float(y)) for x, y in re.findall(r'<text x="([\d.]+)" y="([\d.]+)"', svg)]
    assert re.findall(r'>(\d+) <tspan class="term">heron', svg) == [str(i) for i in range(1, 13)]
    assert all(20 < y < 430 for _, y in at)
    for i, (x, y) in enumerate(at):
        assert all(abs(x - a) >= 70 or abs(y - b) >= 28 for a, b in at[:i])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (0.12345, "0.123"),
        (12.0, "12"),
        (0.00001234, "1.2e-05"),
        (1234.5, "1,234"),
        (float("nan"), charts.NOTHING),
    ],
)
def test_numbers_are_written_for_people(value, shown) -> None:
    assert charts.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(9000, "9,000"), (200_000, "200k"), (1.25e6, "1.25M"), (3e9, "3G")]
)
def test_an_axis_has_short_numbers(value, shown) -> None:
    assert charts.short(value) == shown


def test_costs_are_of_every_command_that_paid_and_a_replay_pays_nothing(
    recipe, engine, seeds, tmp_path
) -> None:
    from gristmill import run

    prices = "prices={million_tokens: {generator: 2e6}}"
    first = run(recipe(prices), seeds(), {"generator": engine()}, workspace=tmp_path)
    paid = facts.costs(RunFiles.open(first.path))
    tokens = dict(paid)["tokens made by models"]
    assert tokens > 0
    assert dict(paid)["cost, USD"] == pytest.approx(tokens * 2)
    again = run(recipe(prices), seeds(), {"generator": engine()}, workspace=tmp_path)
    assert again.note["calls"]["made"] == 0
    assert facts.costs(RunFiles.open(again.path)) == paid
    assert "Too short to plot: the one command that" in report.write(first.path).read_text()
    bill = BILL | {"made": 7, "timeline": BILL["timeline"][:3]}
    (first.path / "costs" / "2-1.json").write_text(json.dumps(bill))
    both = dict(facts.costs(RunFiles.open(first.path)))
    assert both["calls made"] == dict(paid)["calls made"] + 7
    assert "in 2 commands" in report.write(first.path).read_text()
    (first.path / "costs" / "3-1.json").write_text(json.dumps(BILL))
    told = "Of the 3 commands that called engines, one after the other."
    assert told in report.write(first.path).read_text()


def test_what_engines_reused_is_told_beside_the_plan(finished) -> None:
    path = finished()
    assert "Prompt tokens reused" not in report.write(path).read_text()
    counters = {
        "vllm:prefix_cache_queries": 200.0,
        "vllm:prefix_cache_hits": 150.0,
        "planner:prompt_characters": 1000.0,
        "planner:shared_characters": 760.0,
    }
    bill = BILL | {"engines": {"generator": counters}}
    (path / "costs" / "2-1.json").write_text(json.dumps(bill))
    assert facts.prefix_hits(RunFiles.open(path)) == (0.75, 0.76)
    text = report.write(path).read_text()
    assert "Prompt tokens reused" in text
    assert "76% by plan" in text


def test_the_report_of_many_rows_is_hardly_larger_than_that_of_few(finished) -> None:
    path = finished()
    few = report.write(path).stat().st_size
    assert len(RunFiles.open(path).rows) < 200
    repeat(path, 200)
    assert len(RunFiles.open(path).rows) > 20_000
    assert not problems(RunFiles.open(path))
    assert report.write(path).stat().st_size < min(5 * few, 10_000_000)
