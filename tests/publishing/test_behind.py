"""From a figure to its rows: what can be clicked leads somewhere, and the rows are as many."""

import json
import re
from pathlib import Path

import polars as pl
import pytest

from gristmill import run as run_recipe
from gristmill.publishing import behind, card, report
from gristmill.publishing.files import RunFiles
from tests.publishing.conftest import HOSTILE

TARGET = re.compile(r'href="#([^"]+)"')


def counts(path: Path) -> dict[behind.Key, int]:
    return {key: one.n for key, one in behind.behind(RunFiles.open(path), 5).items()}


def ledger(path: Path) -> dict[behind.Key, int]:
    """Return what the ledger says of the same figures; those that are 0 have no rows."""
    told = {}
    for at in json.loads((path / "ledger.json").read_text())["stages"]:
        told |= {(name, at["stage"]): at[name] for name in ("in", "made", "kept", "failed")}
        told |= {("code", at["stage"], code): n for code, n in at["codes"].items()}
    return {key: n for key, n in told.items() if n}


def test_rows_behind_a_stage_are_as_many_as_its_ledger_says(finished) -> None:
    path = finished(40)
    found = counts(path)
    assert {key: found[key] for key in ledger(path)} == ledger(path)
    kinds = ("in", "made", "kept", "failed", "code")
    assert {key for key in found if key[0] in kinds} - {("kept", "dataset")} == {*ledger(path)}


@pytest.mark.parametrize("sets", [(), ("target=8",), ("rounds.n=2",)])
def test_so_are_those_of_a_run_that_ended_any_way(recipe, engine, seeds, tmp_path, sets) -> None:
    path = run_recipe(recipe(*sets), seeds(), {"generator": engine()}, workspace=tmp_path).path
    found = counts(path)
    assert {key: found[key] for key in ledger(path)} == ledger(path)
    assert found["kept", "dataset"] == len(RunFiles.open(path).kept)


def test_the_rows_are_those_that_the_figure_counts(finished) -> None:
    run = RunFiles.open(finished(40))
    found, rows = behind.behind(run, 4), run.rows
    failed = found["verdict", "unit_tests", "status", "fail"]
    marks = run.marks("unit_tests", ["status", "passed"])
    meant = marks.filter(status="fail")["id"].sort().to_list()
    assert ([row.id for row in failed.rows], failed.n) == (meant[:4], len(meant))
    assert all(row.ended == "rejected at verdict: failed_tests" for row in failed.rows)
    unjudged = found["verdict", "unit_tests", "passed", "not judged"]
    assert [row.id for row in unjudged.rows] == marks.filter(pl.col("passed").is_null())[
        "id"
    ].to_list()
    came = {row.id for row in found["in", "near_duplicates"].rows}
    assert came <= {*rows.filter(pl.col("end_at") != "verdict")["id"]}


def test_rows_of_a_score_go_from_the_lowest_to_the_highest(finished) -> None:
    run = RunFiles.open(finished(40))
    values = dict(run.numbers("scores.ifd.value").iter_rows())
    found = behind.behind(run, 5)["score", "ifd.value"]
    shown = [values[row.id] for row in found.rows]
    assert (shown, shown[0], shown[-1]) == (
        sorted(shown),
        min(values.values()),
        max(values.values()),
    )
    assert (found.n, len(found.rows)) == (len(values), 5)


def test_every_figure_of_the_report_that_leads_on_leads_somewhere(finished) -> None:
    path = finished(40)
    lines = [{"file": "a.jsonl", "line": 3, "reason": f"no JSON {HOSTILE}", "text": "x"}] * 2
    (path / "malformed.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = report.write(path).read_text()
    targets = set(TARGET.findall(text))
    assert targets <= set(re.findall(r' id="([^"]+)"', text))
    assert len(targets) > 40
    sections = dict(re.findall(r'(?s)<section id="(\w+)">(.*?)</section>', text))
    for name in ("yield", "verification", "scores", "map", "engines"):
        assert TARGET.search(sections[name]), name
    figures = re.findall(r'<div class="right">(.*?)(?:<small>.*?)?</div>', sections["yield"])
    assert all(TARGET.search(figure) for figure in figures if figure not in ("", "0"))
    assert "a.jsonl:3" in text
    assert "&lt;script&gt;" in sections["behind"]


def test_every_figure_of_the_card_that_leads_on_leads_to_a_section_with_ids(finished) -> None:
    path = finished(40)
    text = card.write(path).read_text()
    heads = {head.lower().replace(" ", "-") for head in re.findall(r"(?m)^## (.+)$", text)}
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) == {
        "rows-behind-the-figures",
        "examples-of-what-was-rejected",
        "what-each-command-paid",
    }
    assert heads >= {*re.findall(r"\]\(#([\w-]+)\)", text)}
    own = text.partition("## Rows behind the figures")[2]
    ids = set(re.findall(r"`([0-9a-f]{12})`", own))
    assert ids <= {i[:12] for i in RunFiles.open(path).rows["id"]}
    kept = [at for at in json.loads((path / "ledger.json").read_text())["stages"] if at["kept"]]
    for at in kept:
        assert re.search(rf"(?m)^\| `{at['stage']}` \| `kept` \| {at['kept']} \| `", own)
