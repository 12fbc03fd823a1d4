import json

import pyarrow.parquet as pq
import pytest

from gristmill import run
from gristmill.errors import InputError
from gristmill.publishing import trace
from gristmill.publishing.files import RunFiles


def test_a_kept_row_is_followed_to_its_seed_through_every_stage(finished) -> None:
    path = finished()
    found = trace.trace(path, 0)
    seed, row = found.line
    assert (seed.stage, seed.parents, seed.source) == ("seeds", [], "stdlib")
    assert [(s.stage, s.what) for s in seed.steps] == [("write", "expanded")]
    assert (row.parents, row.stage, found.position) == ([seed.id], "write", 0)
    assert [s.stage for s in row.steps] == [
        "write", "unit_tests", "verdict", "near_duplicates", "ifd", "embedding", "target", "pick",
    ]  # fmt: skip
    assert {s.what for s in row.steps[1:]} == {"passed"}
    wrote = {s.stage: s.columns for s in row.steps}
    assert wrote["unit_tests"]["status"] in ("pass", "infra_error")
    assert set(wrote["ifd"]) == {"ppl", "value"}
    assert wrote["pick"] == {"rank": 0}
    assert len(row.calls) == 1
    assert row.gen
    assert row.gen["model"] == "demo"
    json.dumps(found.as_dict())


def test_a_rejected_row_says_where_and_why(finished) -> None:
    path = finished()
    (row,) = trace.rows(path, end="rejected", at="verdict", n=1)
    found = trace.trace(path, row["id"][:8])
    assert found.position is None
    last = found.line[-1].steps[-1]
    assert (last.stage, last.what, last.code) == ("verdict", "rejected", "failed_tests")
    assert last.detail == row["end_detail"]


def test_the_text_is_safe_for_a_terminal_and_keeps_its_lines(finished) -> None:
    path = finished()
    (row,) = trace.rows(path, end="rejected", at="write", n=1)
    shown = trace.render(trace.trace(path, row["id"]))
    assert not set(shown) & set("\x1b\x07\u202e")
    assert "unparsed: no fence in the answer: <script>" in shown
    assert "\n  code:\n    def f" in shown


def test_grandparents_are_in_the_line_and_calls_are_told_apart(
    recipe, engine, seeds, tmp_path
) -> None:
    result = run(recipe(), seeds(), {"generator": engine()}, workspace=tmp_path)
    found = trace.trace(result.path, 0)
    assert [row.stage for row in found.line] == ["seeds", "evol_instruct", "responses"]
    keys = [key for row in found.line for key in row.calls]
    whole = result.dataset["calls"][0].as_py()
    assert sorted(keys) == sorted(set(whole))
    assert len(keys) == len(set(keys)) >= 2


def test_rows_are_found_by_id_start_and_position(finished) -> None:
    run_files = RunFiles.open(finished())
    ids = pq.read_table(run_files.data[0])["id"].to_pylist()
    assert trace.find(run_files, ids[2]) == ids[2]
    assert trace.find(run_files, ids[2][:9].upper()) == ids[2]
    assert trace.find(run_files, "#2") == trace.find(run_files, 2) == ids[2]


@pytest.mark.parametrize(
    ("which", "says"),
    [
        ("999", "no row at position 999; the dataset has"),
        ("ffffffffff", "no row's id starts with 'ffffffffff' among"),
        ("abc", "give at least 6 letters"),
        (-1, "no row at position -1"),
    ],
)
def test_a_row_that_is_not_there_is_an_error_with_a_hint(finished, which, says) -> None:
    with pytest.raises(InputError, match=says):
        trace.trace(finished(), which)


def test_an_ambiguous_start_names_the_candidates(finished, monkeypatch) -> None:
    monkeypatch.setattr(trace, "SHORTEST", 1)
    with pytest.raises(InputError, match=r"\d+ ids start with 'a': a.*give more letters"):
        trace.find(RunFiles.open(finished()), "a")
