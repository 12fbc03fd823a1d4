"""A real run over rows of which some repeat a benchmark: its card, and the gate of `publish`."""

import shutil
from pathlib import Path

import pytest

from gristmill import Recipe, run
from gristmill.errors import GateClosed
from gristmill.formats.protecting import NONE
from gristmill.publishing import card, hub, report
from gristmill.publishing.contamination import NEVER, above_limit, compared
from gristmill.publishing.diff import diff
from gristmill.publishing.files import RunFiles
from gristmill.publishing.versions import Version
from tests.publishing.conftest import unlinked

TINY = Path(__file__).parents[1] / "data" / "benchmarks.json"
GEESE = "Mina keeps seven grey geese and eleven white ducks behind the old mill."
SHORT = "{use: filters.length, field: output, min_chars: 1, max_chars: 60}"
ROWS = [
    {"instruction": f"Name tree number {i}.", "output": GEESE if i < 2 else "Oak."}
    for i in range(10)
]


@pytest.fixture
def ran(tmp_path):
    def make(stages: str) -> Path:
        recipe = Recipe.load("threshold", [f"stages=[{stages}]", "seeds={}", "name=gated"])
        return run(recipe, ROWS, {}, workspace=tmp_path).path

    return make


def use(**changes: object) -> str:
    given = {"benchmarks": "[tiny]", "registry": TINY, **changes}
    return f"{{use: filters.contamination, {', '.join(f'{k}: {v}' for k, v in given.items())}}}"


def test_what_was_dropped_is_on_the_card_and_nothing_is_left(ran) -> None:
    path = ran(use())
    (found,) = compared(RunFiles.open(path))
    assert ({hit: len(ids) for hit, ids in found.dropped.items()}, found.kept) == (
        {("tiny", "words"): 2},
        {},
    )
    text = unlinked(card.write(path).read_text())
    assert (
        "Stage `contamination` looked by words, solutions (runs of 13 words); of the dataset none "
        "may have a hit." in text
    )
    assert "| `tiny` | words | 2 | 0 |" in text
    assert list(above_limit(RunFiles.open(path))) == []


def test_a_set_that_nothing_repeats_is_on_the_card_too(ran) -> None:
    assert (
        "| `tiny` | nothing found | 0 | 0 |"
        in card.write(ran(use(methods="[solutions]"))).read_text()
    )


def test_a_stage_that_names_nothing_says_what_was_registered(ran, tmp_path) -> None:
    path = ran(f"{{use: filters.contamination, registry: {TINY}}}")
    assert "| `tiny` | words | 2 | 0 |" in unlinked(card.write(path).read_text())
    none = ran(f"{{use: filters.contamination, registry: {tmp_path / 'none.json'}}}")
    assert f"Stage `contamination` compared nothing: {NONE}." in card.write(none).read_text()


def test_flagged_rows_close_the_gate_above_the_limit(ran, monkeypatch) -> None:
    path = ran(use(action="flag", max_rate=0.1))
    text = unlinked(card.write(path).read_text())
    assert "| `tiny` | words | 0 | 2 |" in text
    assert "of the dataset at most 10.00% may have a hit." in text
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(GateClosed, match=r"2 of 10 rows repeat tiny \(20.00%, at most 10.00%"):
        hub.publish(path, "someone/rows")


def test_at_the_limit_the_gate_is_open(ran) -> None:
    assert list(above_limit(RunFiles.open(ran(use(action="flag", max_rate=0.2))))) == []


def test_the_card_says_that_nobody_looked(ran) -> None:
    assert NEVER in card.write(ran("{use: filters.length}")).read_text()


def test_the_card_says_what_was_written_after_the_comparison(finished) -> None:
    found = RunFiles.open(finished())
    stages = [
        {"use": "filters.contamination", "benchmarks": ["a"]},
        {"use": "generators.responses"},
    ]
    found.lock["recipe"]["stages"] = stages
    assert "Text that `responses` wrote after that was not compared." in card.render(found)


@pytest.mark.parametrize("action", ["drop", "flag"])
def test_card_and_report_never_say_again_what_repeats_a_benchmark(ran, action) -> None:
    path = ran(f"{use(action=action, max_rate=1)}, {SHORT}")
    texts = card.write(path).read_text() + report.write(path).read_text()
    assert "grey geese" not in texts
    assert "not shown: it repeats a benchmark" in texts
    assert ("tiny by words, row " in texts) == (action == "drop")
    assert "Name tree number 5." in texts


def test_a_comparison_does_not_say_it_either(ran) -> None:
    old, new = (ran(stage) for stage in ("{use: filters.length}", use()))
    found = diff(Version.of_run(old), Version.of_run(new))
    assert [text for _, text in found.examples["removed"]] == ["not shown: contaminated"] * 2


def test_a_row_that_left_before_the_comparison_is_not_shown_either(ran) -> None:
    path = ran(f"{SHORT}, {use()}")
    texts = card.write(path).read_text() + report.write(path).read_text()
    assert "grey geese" not in texts
    assert "not shown: it repeats a benchmark" in texts


def test_a_row_that_left_before_and_repeats_nothing_is_shown(ran) -> None:
    path = ran(f"{{use: filters.length, field: output, min_chars: 5}}, {use()}")
    assert "`Name tree number" in card.write(path).read_text()


def test_without_the_benchmark_no_row_that_left_before_is_shown(ran, tmp_path) -> None:
    for file in (TINY, TINY.with_name("tiny_benchmark.jsonl")):
        shutil.copy(file, tmp_path)
    path = ran(f"{SHORT}, {use(registry=tmp_path / TINY.name)}")
    (tmp_path / "tiny_benchmark.jsonl").unlink()
    text = card.write(path).read_text()
    assert "grey geese" not in text
    assert "not shown: no benchmark is here to compare it with" in text
