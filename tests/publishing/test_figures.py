"""A walk over every figure of report and card: each leads to its rows, or has none for a reason.

Figures are looked for by where they stand, not by name: one that somebody adds is found at once.
"""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml

from gristmill.formats import marks
from gristmill.publishing import calibration, card, report, trainee
from gristmill.publishing.behind import behind
from gristmill.publishing.diff import diff
from gristmill.publishing.files import RunFiles
from gristmill.publishing.housekeeping import forecast_of
from gristmill.publishing.versions import Version
from gristmill.storage.shards import write_text
from tests.publishing.conftest import build

FIGURE = re.compile(r"(?<![\w.-])(?!0%?(?!\.?\d))[+-]?\d[\d,]*(?:\.\d+)?%?(?!\w)")
"""A number that stands for itself; nothing is behind a 0."""
ROWS = {
    "section#behind",
    "section#examples",
    "details",
    "svg",
    "pre",
    "code",
    "style",
    "th",
    "title",
}
"""Places in the report that figures lead to, and that name or draw what stands beside them."""
NO_ROWS = {
    "header": "the seed of chance and the target were given, not counted",
    "dd.remark": "a quotient of the figure above it, which leads on, or the target",
    "Commands": "where costs lead: a command is no row, it has a line of `costs/` here",
    "td:1": "the name of a topic, or the length that a sequence was given",
    "p.remark": "a row's own text, or what the reader of the seeds said",
}
"""Places in the report whose figures have no rows, and why."""
CARD_NO_ROWS = {
    r"^\| 512 ": "the length that a sequence was given",
    r"\(seed 7, fingerprint ": "given, not counted",
    r"^Lines of the input that could not be read": "a line that could not be read is no row",
    r"looked by .* may have a hit": "a limit that the recipe gives",
    r"^(\| judge|\| critic|- Tokens of a row)": "names: `95 %` of an interval, `90 %` of the rows",
}
"""Lines of the card whose figures have no rows, and why."""
CARD_EVIDENCE = ("What each command paid", "Rows behind the figures")
"""Sections of the card that figures lead to."""


class Loose(HTMLParser):
    """Collects the texts with a figure that nobody can click, each with the places it stands in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[tuple[str, set[str]]] = []
        self.found: list[tuple[set[str], str]] = []
        self.n_linked, self.nth = 0, 0
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        told = dict(attrs)
        self.nth = self.nth + 1 if tag == "td" else 0 if tag == "tr" else self.nth
        names = {tag, f"{tag}#{told.get('id')}", f"{tag}:{self.nth}", told.get("aria-label")}
        if tag != "meta":
            self.stack.append((tag, names | {f"{tag}.{told.get('class')}"}))

    def handle_startendtag(self, tag, attrs) -> None:
        """An element of a drawing: it holds nothing."""

    def handle_endtag(self, tag) -> None:
        assert self.stack.pop()[0] == tag

    def handle_data(self, data) -> None:
        inside = set().union(*(names for _, names in self.stack))
        if FIGURE.search(data) and not inside & ROWS:
            if "a" in inside:
                self.n_linked += 1
            else:
                self.found.append((inside, " ".join(data.split())))


class Words:
    """A tokenizer of words, 60 tokens each."""

    bos_token = bos_token_id = eos_token = chat_template = None
    model_max_length = 1000

    def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
        return {"input_ids": [0] * 60 * len(text.split())}


def grow_columns(run: Path) -> None:
    """Give rows what verifiers, critics, judges of pairs and benchmarks would."""
    sorts = pl.col("instruction").str.contains(" sorts ")
    by = pl.when(sorts).then(pl.lit("asserts")).otherwise(pl.lit("values")).alias("verified_by")
    critic = pl.struct(by_critic=pl.lit([True, False]), by_program=pl.lit([True, True]))
    pick = {"chosen_from": "a b", "rejected_from": "c", "margin": 0.25}
    told = {"ifd": {"hit": "tiny by words, row 3"}, "pick": pick}
    for file in [*RunFiles.open(run).files, *RunFiles.open(run).data]:
        rows = pl.read_parquet(file)
        names = [field.name for field in rows.schema["verdicts"].fields]
        tests = pl.col("verdicts").struct.field("unit_tests").struct.with_fields(by)
        assert names == ["unit_tests"]
        both = pl.struct(tests.alias("unit_tests"), critic.alias("critic")).alias("verdicts")
        rows = rows.with_columns(pl.when(pl.col("verdicts").is_not_null()).then(both))
        if "dataset" in file.parts:
            pair = [
                pl.lit(text).alias(name) for name, text in [("chosen", "xx"), ("rejected", "x")]
            ]
            rows = rows.with_columns(*pair, meta=pl.lit(json.dumps(told)))
        table = pq.read_table(file)  # of all others the types stay
        made = [rows[n] for n in ("verdicts", "chosen", "rejected", "meta") if n in rows.columns]
        for column in made:
            if column.name in table.column_names:
                table = table.drop_columns(column.name)
            table = table.append_column(column.name, column.to_arrow())
        pq.write_table(table, file)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run that has everything that card and report tell of."""
    version = {"version": 1, "run": "r", "digest": "d", "seeds": 60, "rows": 19, "lost": {"x": 3}}
    version["diff"] = {"added": 19, "changed": 1, "removed": 2}
    names = {"data/train-00000-of-00001.parquet": 19, "exports/alpaca/train.jsonl": 17}
    path: Path = tmp_path_factory.mktemp("figures") / "runs" / "demo_run-ffff"
    build(path, 60, dataset=names, versions=[version])
    grow_columns(path)
    left = {"left_out": {"too long": 2}, "cut": 1, "without_system": 0}
    write_text(
        path / "dataset/exports/notes.json", json.dumps({"exports/alpaca/train.jsonl": left})
    )
    line = json.dumps({"file": "a.jsonl", "line": 3, "reason": "no JSON", "text": "x"})
    write_text(path / "malformed.jsonl", f"{line}\n" * 2)
    lock = yaml.safe_load((path / "recipe.lock.yaml").read_text())
    stage = next(stage for stage in lock["recipe"]["stages"] if stage["as"] == "ifd")
    stage |= {"use": "filters.contamination", "benchmarks": ["tiny"], "max_rate": 0.5}
    write_text(path / "recipe.lock.yaml", yaml.safe_dump(lock))
    files = RunFiles.open(path)
    row = files.last_of(files.kept[:1])[0]
    marks.add(path, [marks.Mark(row["id"], "keep", marks.text_of(row))])
    trainee.measure(files, Words(), "words")
    some = {kind: [("0" * 16, "pass", "fail")] * 5 for kind in ("agreed", "not agreed")}
    rates = {"agreement_rate": 0.75, "kappa": 0.5, "low": 0.1, "high": 0.9, "order_bias_rate": 0.02}
    calibration.save(path, {"verdict": {"compared": 40, **rates, "some": some}}, [])
    ranges = {"low": 2, "expected": 3, "high": 40, "unit": "rows"}
    aim = {"target": None, "budget": None}
    told = {"aim": aim, "devices": 1, "sampled": 10, "figures": {"rows": ranges, "tokens": ranges}}
    ledger = json.loads((path / "ledger.json").read_text())
    write_text(path / "ledger.json", json.dumps({**ledger, "calls": {"made": 120, "replayed": 30}}))
    write_text(forecast_of(path.parents[1], path.name), json.dumps(told))
    return path


def test_every_figure_of_the_report_leads_to_rows_or_has_none_for_a_reason(run) -> None:
    older = build(run.with_name("demo_run-eeee"), 30)
    compared = diff(Version.of_run(older), Version.of_run(run))
    page = Loose(report.write(run, compared).read_text())
    loose = [(inside, said) for inside, said in page.found if not inside & NO_ROWS.keys()]
    assert [(sorted(map(str, inside)), said) for inside, said in loose] == []
    assert {why for inside, _ in page.found for why in inside & NO_ROWS.keys()} == NO_ROWS.keys()
    assert page.n_linked > 250
    sections = re.findall(r'<section id="(\w+)">', (run / "report.html").read_text())
    assert {"verification", "judges", "contamination", "scores", "trainee", "map", "against",
            "forecast", "cost", "engines"} <= {*sections}  # fmt: skip


def test_every_figure_of_the_card_leads_to_rows_or_has_none_for_a_reason(run) -> None:
    text = card.write(run).read_text().partition("---\n")[2].partition("---\n")[2]
    sections = dict(re.findall(r"(?ms)^## (.+?)\n(.*?)(?=^## |\Z)", f"## Top\n{text}"))
    assert {"Files", "What the trainee reads", "How pairs were made", "What people marked",
            "How far critics agree with programs", "Contamination", "Changelog"} <= {
        *sections
    }  # fmt: skip
    said = []
    for title in sections.keys() - {*CARD_EVIDENCE}:
        bare = re.sub(r"(?s)```.*?```|`[^`\n]*`|\[[^]\n]*\]\([^)\n]*\)", "", sections[title])
        said += [line for line in bare.splitlines() if FIGURE.search(line)]
    loose = [line for line in said if not any(re.search(why, line) for why in CARD_NO_ROWS)]
    assert loose == []
    for place in CARD_NO_ROWS:
        assert any(re.search(place, line) for line in said), place
    targets = set(re.findall(r"\[[^]\n]*\]\(([^)\n]*)\)", re.sub(r"`[^`\n]*`", "", text)))
    heads = {f"#{re.sub(r'[^-a-z ]', '', head.lower()).replace(' ', '-')}" for head in sections}
    files = {target for target in targets if not target.startswith("#")}
    assert targets - files <= heads
    assert "exports/notes.json" in files
    there = [target for target in files if (run / "dataset" / target).exists()]
    assert {*files} - {*there} == {"exports/alpaca/train.jsonl"}, "no run wrote this one"


def test_rows_behind_lengths_pairs_critics_and_kinds_are_those_that_are_meant(run) -> None:
    files = RunFiles.open(run)
    found = behind(files, 5)
    told = trainee.kept(files) or {}
    long = {row_id: n for row_id, n in told["some"].items() if n > 512}
    assert long
    assert found["tokens", "longer than 512"].n == told["packing"][0]["cut"] >= len(long)
    assert all(int(row.said.split()[0].replace(",", "")) > 512
               for row in found["tokens", "longer than 512"].rows)  # fmt: skip
    n = len(files.kept)
    assert found["pairs", "pick"].n == found["pairs", "a b over c"].n == n
    assert {row.said for row in found["pairs", "pick"].rows} == {"margin 0.25"}
    judged = files.marks("critic", ["by_critic"])
    assert found["critic", "critic", "they disagree"].n == len(judged)
    once = sum("sorts" in row.text for row in behind(files, n)["kept", "dataset"].rows)
    assert (
        found["verified", "asserts, run once"].n == found["not verified", "dataset"].n == once > 0
    )
    assert all("sorts" in row.text for row in found["not verified", "dataset"].rows)
    assert found["verified", "values"].n == found["verified", "dataset"].n == n - once
    sampled = files.rows.filter(stage="seeds")["id"].sort()[:10]
    assert [row.id for row in found["seeds", "sampled"].rows] == [*sampled[:5]]
