"""What people marked decides what a run keeps, and nothing that it asks."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from audit import audit

from gristmill import run
from gristmill.errors import InputError
from gristmill.formats import marks
from gristmill.formats.marks import Mark
from gristmill.pipelines import LocalRunner
from gristmill.pipelines.outcome import Result
from gristmill.publishing.checks import problems
from gristmill.publishing.files import RunFiles

SHORT = "stages.1.min_chars=70"
"""About half of the rows are shorter."""


@pytest.fixture
def go(recipe, seeds, engine, tmp_path):
    def again(*sets: str, rows: int = 1024) -> tuple[Result, Any]:
        asked = engine()
        runner = LocalRunner(rows_per_shard=rows)
        return run(recipe(*sets), seeds(40), {"generator": asked}, runner, tmp_path), asked

    return again


def ended(result: Result, **wanted: str) -> list[dict[str, Any]]:
    found = RunFiles.open(result.path)
    ids = [
        row["id"]
        for row in found.rows.to_dicts()
        if all(row[name] == value for name, value in wanted.items())
    ]
    return found.last_of(ids)


def mark(path: Path, row: dict[str, Any], says: Any, note: str = "") -> None:
    at = (row["end_at"],) if row["end"] == "rejected" else ()
    marks.add(path, [Mark(row["id"], says, marks.text_of(row), at, note)])


def check(result: Result) -> None:
    assert audit(result.path) == []
    assert problems(RunFiles.open(result.path)) == []


def test_a_dropped_row_leaves_with_its_note_and_another_takes_its_place(go) -> None:
    first, _ = go("target=8")
    gone = first.dataset.to_pylist()[0]
    mark(first.path, {**gone, "end": "kept"}, "drop", "says nothing")
    again, _ = go("target=8")
    line = next(line for line in again.ledger if line["stage"] == "target")
    assert (again.stop, line["kept"], line["codes"]["reviewed"]) == ("target", 8, 1)
    assert gone["id"] not in again.dataset["id"].to_pylist()
    assert len(again.dataset) == len(first.dataset) == 6
    [row] = ended(again, end_code="reviewed")
    assert (row["id"], row["end_at"], row["end_detail"]) == (gone["id"], "target", "says nothing")
    check(again)
    assert go("target=8", rows=3)[0].dataset == again.dataset


def test_a_kept_row_is_brought_back_from_the_filter_that_rejected_it_and_goes_on(go) -> None:
    first, _ = go(SHORT, "stages.-1.k=90")
    row = min(ended(first, end_at="length"), key=lambda row: row["id"])
    mark(first.path, row, "keep", "short and good")
    again, asked = go(SHORT, "stages.-1.k=90")
    assert len(asked.calls) == 4  # its four responses; the others replay
    before, after = ({*r.dataset["id"].to_pylist()} for r in (first, again))
    [new] = [r for r in again.dataset.to_pylist() if r["id"] in after - before]
    assert before < after
    assert new["parents"] == [row["id"]]
    note = '{"review": {"note": "short and good", "overruled": {"length": "too_short"}}}'
    assert new["meta"].endswith(note[1:])
    check(again)


@pytest.mark.parametrize("stage", ["majority", "near_duplicates"])
def test_filters_that_compare_rows_are_overruled_one_row_at_a_time(go, stage) -> None:
    more = "stages.4={use: filters.near_duplicates, fields: [output], threshold: 0.4}"
    first, _ = go("stages.-1.k=900", more)
    row, *others = ended(first, end_at=stage)
    assert others
    mark(first.path, row, "keep")
    again, asked = go("stages.-1.k=900", more, rows=3)
    assert asked.calls == []
    lost, was = (next(x for x in r.ledger if x["stage"] == stage) for r in (again, first))
    assert lost["rejected"] == was["rejected"] - 1
    assert row["id"] not in [r["id"] for r in ended(again, end_at=stage)]
    check(again)


def test_a_mark_is_about_what_the_row_said_and_about_one_decision(go) -> None:
    first, _ = go(SHORT)
    row = ended(first, end_at="length")[0]
    wrong = [
        Mark(row["id"], "keep", "of another text", ("length",)),
        Mark(row["id"], "keep", marks.text_of(row), ("majority",)),
        Mark(row["id"], "drop", marks.text_of(row)),
    ]
    for one in wrong:
        marks.add(first.path, [one])
        assert go(SHORT)[0].dataset == first.dataset


def test_a_row_may_be_brought_back_past_two_filters(go) -> None:
    strict = (SHORT, "stages.2={use: filters.length, as: longer, min_chars: 999}")
    first, _ = go(*strict)
    row = ended(first, end_at="length")[0]
    both = Mark(row["id"], "keep", marks.text_of(row), ("length", "longer"))
    for one, at in ((replace(both, at=("length",)), "longer"), (both, None)):
        marks.add(first.path, [one])
        again, _ = go(*strict)
        [row] = ended(again, id=row["id"])
        assert row["end_at"] == (at or "longest")
    assert marks.overruled(row) == {"length": "too_short", "longer": "too_short"}
    check(again)


def test_a_mark_taken_back_leaves_no_trace(go) -> None:
    first, _ = go("target=8")
    row = {**first.dataset.to_pylist()[0], "end": "kept"}
    mark(first.path, row, "drop")
    assert go("target=8")[0].dataset != first.dataset
    marks.add(first.path, [], [row["id"]])
    assert go("target=8")[0].dataset == first.dataset


def test_selectors_and_generators_are_not_overruled(go) -> None:
    first, _ = go()
    for at in ("longest", "responses", "evol_instruct"):
        for row in ended(first, end="rejected", end_at=at)[:3]:
            mark(first.path, row, "keep")
    assert go()[0].dataset == first.dataset


@pytest.mark.parametrize("code", ["personal_data", "secret", "contaminated"])
def test_what_protects_others_is_overruled_by_nobody(code) -> None:
    row = {"id": "a", "instruction": "Say x."}
    kept = marks.Marks({"a": Mark("a", "keep", marks.text_of(row), ("look",))})
    assert kept.bring_back(row, "look", code) is None
    assert kept.bring_back(row, "look", "too_short") is not None


def test_a_last_line_that_was_cut_is_no_mark_and_makes_room(tmp_path) -> None:
    one, two = (Mark(i, "drop", "t", (), "é\n") for i in "ab")
    marks.add(tmp_path, [one])
    path = tmp_path / marks.FILE
    path.write_bytes(path.read_bytes() + b'{"id": "c", "sa')
    assert marks.read(tmp_path).by_id == {"a": one}
    marks.add(tmp_path, [two])
    assert marks.read(tmp_path).by_id == {"a": one, "b": two}


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "a", "says": "maybe", "text": ""}', "{}"])
def test_a_line_that_is_no_mark_is_named(tmp_path, line) -> None:
    (tmp_path / marks.FILE).write_text(f"{line}\n")
    with pytest.raises(InputError, match=r"marks\.jsonl, line 1: expected a mark"):
        marks.read(tmp_path)
