"""What a notebook does: calls inside its running loop, results that show themselves, examples."""

import asyncio
import doctest
import signal
import threading
from html.parser import HTMLParser
from pathlib import Path

import pytest

import gristmill
from gristmill import Recipe, pipelines, run
from gristmill.engines.loop import block
from gristmill.engines.scripted import Scripted
from tests.publishing.conftest import HOSTILE

PUBLIC = sorted({*gristmill.__all__, *pipelines.__all__})


def in_a_cell(work):
    """Call a plain function where a notebook calls it: in a loop that runs in this thread."""

    async def cell():
        return work()

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(cell())
    finally:
        loop.close()


@pytest.fixture
def recipe() -> Recipe:
    stages = [{"use": "filters.length"}, {"use": "generators.responses", "n": 1}]
    return Recipe(name="cell", stages=stages)


def test_a_cell_runs_a_recipe_and_replays_it_without_await(recipe, tmp_path) -> None:
    seeds = [{"instruction": f"Explain topic {i}."} for i in range(3)]
    engines = {"generator": Scripted()}
    first = in_a_cell(lambda: run(recipe, seeds, engines, workspace=tmp_path))
    again = in_a_cell(lambda: run(recipe, seeds, engines, workspace=tmp_path))
    assert first.note["calls"] == {"made": 3, "replayed": 0}
    assert again.note["calls"] == {"made": 0, "replayed": 3}
    assert again.dataset.equals(first.dataset)


def test_an_interrupted_cell_ends_its_work_before_it_says_so() -> None:
    told: list[str] = []

    async def work() -> None:
        try:
            main = threading.main_thread().ident
            threading.Timer(0.05, signal.pthread_kill, [main, signal.SIGINT]).start()
            await asyncio.Event().wait()
        finally:
            told.append("ended")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            in_a_cell(lambda: block(work()))
    finally:
        signal.signal(signal.SIGINT, before)
    assert told == ["ended"]


class Tags(HTMLParser):
    """Collects the tags of a page, and what is open at its end."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_result_shows_its_ledger_and_its_rows_escaped(recipe, tmp_path) -> None:
    seeds = [{"instruction": HOSTILE}] * 4 + [{"instruction": "Hi."}]
    result = run(recipe, seeds, {"generator": Scripted()}, workspace=tmp_path)
    page = result._repr_html_()
    tags = Tags(page)
    assert tags.open == []
    assert not tags.seen & {"script", "img", "a", "link", "style"}
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert not {"\x1b", "\u202e"} & set(page)
    assert "too_short 1" in page
    assert "4 rows; every seed was used" in page
    assert f"<code>{result.report}</code>" in page
    assert page.count("<th>instruction</th>") == 3


def test_a_result_without_rows_or_report_shows_itself(recipe, tmp_path) -> None:
    bare = recipe.model_copy(update={"export": recipe.export.model_copy(update={"report": False})})
    result = run(bare, [{"instruction": "Hi."}], {"generator": Scripted()}, workspace=tmp_path)
    shown = result._repr_html_()
    assert "0 rows" in shown
    assert "details" not in Tags(shown).seen
    assert "report" not in shown


@pytest.mark.parametrize("name", PUBLIC)
def test_the_example_of_a_public_name_runs(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    finder = doctest.DocTestFinder(exclude_empty=True)
    thing = getattr(pipelines, name)
    found = [test for test in finder.find(thing, name) if test.examples]
    assert found, f"{name} has no example"
    for test in found:
        done = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF).run(test)
        assert done.failed == 0, name
