"""Report, trace and review in a real browser: keys, filters, widths, nothing run that rows say."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from markdown_it import MarkdownIt

from gristmill.formats import marks
from gristmill.publishing import card, report, trainee
from gristmill.publishing.calibration import save
from gristmill.publishing.diff import diff
from gristmill.publishing.files import RunFiles
from gristmill.publishing.review import Query, Review
from gristmill.publishing.review_server import Server
from gristmill.publishing.trace import page, trace
from gristmill.publishing.versions import Version
from tests.publishing.browser import AXE, CHROMIUM, DRIVER, Browser, driven
from tests.publishing.conftest import build

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="no browser: apt-get install chromium chromium-driver"
    ),
]
READY = "return document.querySelectorAll('.line').length && document.querySelector('#body pre')"
SAYS = "return document.getElementById('{}').textContent.includes(arguments[0])"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with driven() as found:
        yield found


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of which more than 10,000 rows ended."""
    return build(tmp_path_factory.mktemp("pages") / "runs" / "demo_run-ffff", 3700)


@pytest.fixture(scope="module")
def address(run) -> Iterator[str]:
    with Server(Review(run)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.url
        server.shutdown()


def opened(browser: Browser, address: str) -> None:
    browser.resize(1280)
    browser.open(address)
    browser.until(READY)


def chosen(browser: Browser) -> str:
    return browser.ask("return document.querySelector('[aria-selected=true] .start').textContent")


def test_rows_are_marked_by_keys_alone_and_the_marks_are_there_at_once(
    browser, address, run
) -> None:
    opened(browser, address)
    first = chosen(browser)
    browser.press("j", "k", "n", *"too thin", "Escape", "d")
    browser.until("return document.querySelector('#line-0 .marked').textContent === 'drop'")
    browser.until("return document.querySelector('#line-1').ariaSelected === 'true'")
    [dropped] = marks.read(run).by_id.values()
    assert (dropped.says, dropped.note) == ("drop", "too thin")
    browser.until("return document.getElementById('note').value === ''")
    browser.press("ArrowUp")
    browser.until("return document.getElementById('note').value === 'too thin'")
    assert browser.ask("return document.getElementById('said').textContent") == ""
    assert chosen(browser) == first
    browser.press("n", *"wrong", "Enter")  # replaces what it was, and goes back to the rows
    browser.until("return document.getElementById('said').textContent === 'Marked: drop.'")
    assert [mark.note for mark in marks.read(run).by_id.values()] == ["wrong"]
    browser.press("u")
    browser.until("return document.querySelector('#line-0 .marked').textContent === ''")
    assert marks.read(run).by_id == {}
    browser.press("?")
    assert browser.ask("return document.getElementById('help').open")
    browser.press("Escape")
    assert browser.console() == []


def test_filters_and_search_narrow_more_than_10000_rows_page_by_page(browser, address, run) -> None:
    opened(browser, address)
    total = len(Review(run).rows)
    assert total > 10_000
    assert browser.ask("return document.querySelectorAll('.line').length") == 100
    browser.press("]")
    browser.until(
        f"return document.getElementById('where').textContent === '101 to 200 of {total:,}'"
    )
    browser.press("ArrowUp")
    browser.until(
        f"return document.getElementById('where').textContent === '1 to 100 of {total:,}'"
    )
    browser.until("return document.querySelector('#line-99[aria-selected=true]')")
    browser.press("/", *"variant 1 of 12", "Enter")
    n = Review(run).page(Query(text="variant 1 of 12"))["n"]
    assert 80 < n < 120
    browser.until(f"return document.getElementById('where').textContent.endsWith(' of {n}')")
    starts = browser.ask("return [...document.querySelectorAll('.start')].map(e => e.textContent)")
    assert all("variant 1 of 12" in start for start in starts)
    pick = "const s = document.querySelector(`[name=${arguments[0]}]`); s.value = arguments[1];"
    fire = "s.dispatchEvent(new Event('input', {bubbles: true}))"
    browser.ask(pick + fire, "code", "near_duplicate")
    shown = "[...document.querySelectorAll('.how')].map(e => e.textContent)"
    browser.until(f"return {shown}.every(t => t === 'rejected at near_duplicates near_duplicate')")
    assert browser.console() == []


class Words:
    """A tokenizer of words, as much of one as is asked for."""

    bos_token = bos_token_id = eos_token = chat_template = None
    model_max_length = 1000

    def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
        return {"input_ids": [len(word) for word in text.split()]}


@pytest.fixture(scope="module")
def reported(run) -> str:
    """The report with all that it may have: a trainee's tokens, a measured judge, an older run."""
    trainee.measure(RunFiles.open(run), Words(), "words")
    some = {kind: [("0" * 16, "pass", "fail")] * 5 for kind in ("agreed", "not agreed")}
    rates = {"agreement_rate": 0.75, "kappa": 0.5, "low": 0.1, "high": 0.9, "order_bias_rate": 0.02}
    save(run, {"verdict": {"compared": 40, **rates, "some": some}}, [])
    older = build(run.with_name("demo_run-eeee"), 30)
    return report.write(run, diff(Version.of_run(older), Version.of_run(run))).read_text()


LONGER = "document.querySelectorAll('.example pre').forEach((e) => { e.append('1\\n'.repeat(99)) })"
"""Makes every example long enough to scroll."""


@pytest.mark.parametrize("name", ["report", "trace", "review"])
def test_pages_read_well_at_every_width_and_for_everybody(
    browser, run, reported, address, tmp_path, name
) -> None:
    (tmp_path / "trace.html").write_text(page(trace(run, 0)))
    (tmp_path / "report.html").write_text(reported)
    wanted = address if name == "review" else (tmp_path / f"{name}.html").as_uri()
    shots = Path(os.environ.get("GRISTMILL_SCREENSHOTS", tmp_path))
    for width, colours in ((1280, "light"), (420, "dark")):
        browser.resize(width)
        scheme = [{"name": "prefers-color-scheme", "value": colours}]
        browser.command("Emulation.setEmulatedMedia", {"features": scheme})
        browser.open(wanted)
        if name == "review":
            browser.until(READY)
        assert browser.ask("return document.documentElement.scrollWidth") == width
        browser.shoot(shots / f"{name}-{width}.png")
        browser.ask(LONGER)
        if AXE.exists():
            assert browser.findings() == []
    assert browser.console() == []
    if not AXE.exists():
        pytest.skip(f"no axe-core: npm install --prefix {sys.prefix} axe-core")


def test_a_figure_of_the_report_leads_to_its_rows(browser, run, reported, tmp_path) -> None:
    (tmp_path / "report.html").write_text(reported)
    browser.resize(1280)
    browser.open((tmp_path / "report.html").as_uri())
    hashes = browser.ask("return [...document.querySelectorAll('main a')].map((a) => a.hash)")
    shown = "document.querySelector(':target').checkVisibility()"
    for target in dict.fromkeys(hashes):
        browser.ask("document.querySelector(`main a[href='${arguments[0]}']`).click()", target)
        assert browser.ask(f"return {shown}"), target
    assert len(hashes) > 250
    ids = browser.ask("return [...document.querySelectorAll('.rows code')].map(e => e.textContent)")
    known = (RunFiles.open(path).rows["id"] for path in (run, run.with_name("demo_run-eeee")))
    assert set(ids) <= {row[:12] for ids in known for row in ids} | {"0" * 12}


def as_the_hub_renders(text: str) -> str:
    """Return a card as a page: GitHub's Markdown with HTML let through, headings that are gone to.

    The Hub takes more away: scripts, styles and handlers.
    """
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    body = reader.render(text.partition("---\n")[2].partition("---\n")[2])
    for head in set(re.findall("<h2>(.*?)</h2>", body)):
        slug = re.sub(r"[^\w\- ]", "", head).lower().replace(" ", "-")
        body = body.replace(f"<h2>{head}</h2>", f'<h2 id="{slug}">{head}</h2>')
    body = body.replace("<table>", '<div tabindex="0" style="overflow: auto"><table>')
    body = body.replace("</table>", "</table></div>").replace("<pre>", '<pre tabindex="0">')
    style = (
        "body { font: 16px sans-serif; } pre { overflow: auto; } code { overflow-wrap: anywhere; }"
    )
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>x</title>'
    )
    page = (
        f'<html lang="en"><head>{head}<style>{style}</style></head><body><main>{body}</main></body>'
    )
    return f"<!doctype html>{page}</html>"


def test_a_card_is_whole_and_harmless_as_the_hub_renders_it(browser, run, tmp_path) -> None:
    page = tmp_path / "card.html"
    page.write_text(as_the_hub_renders(card.write(run).read_text()))
    shots = Path(os.environ.get("GRISTMILL_SCREENSHOTS", tmp_path))
    for width in (1280, 420):
        browser.resize(width)
        browser.open(page.as_uri())
        assert browser.ask("return document.documentElement.scrollWidth") == width
        browser.shoot(shots / f"card-{width}.png")
        assert not AXE.exists() or browser.findings() == []
    assert browser.console() == []
    assert browser.ask("return document.title") == "x"
    assert browser.ask("return document.querySelectorAll('script, img, iframe').length") == 0
    widths = "(t) => new Set([...t.rows].map((row) => row.cells.length)).size"
    tables = "[...document.querySelectorAll('table')]"
    assert set(browser.ask(f"return {tables}.map({widths})")) == {1}
    is_dead = "(link) => !document.getElementById(link.hash.slice(1))"
    dead = f"return [...document.links].filter({is_dead}).map((link) => link.href)"
    assert browser.ask(dead) == []


@pytest.mark.parametrize("name", ["report", "trace"])
def test_text_of_rows_runs_nothing_even_without_the_pages_policy(
    browser, run, reported, tmp_path, name
) -> None:
    text = reported if name == "report" else page(trace(run, 0))
    bare = tmp_path / "bare.html"
    bare.write_text(re.sub("<meta http-equiv[^>]*>", "", text))
    browser.open(bare.as_uri())
    assert browser.ask("return document.title").endswith(f"gristmill {name}")
    assert "pwned" in browser.ask("return document.body.textContent")
    assert browser.ask("return document.querySelectorAll('script, img, iframe').length") == 0


def test_a_report_does_not_grow_with_rows(reported) -> None:
    assert len(reported) < 400_000  # 40 bytes for each of its rows


def test_the_review_shows_hostile_text_as_text(browser, address) -> None:
    opened(browser, address)
    browser.press("/", *"onerror=alert", "Enter")
    body = "document.getElementById('body').textContent"
    browser.until(f"return {body}.includes('<img src=x onerror=alert(1)>')")
    assert browser.ask("return document.querySelectorAll('#body img, #body script').length") == 0
    assert browser.ask("return document.title").endswith("gristmill review")
    assert browser.console() == []
