"""`diff` and `report --against` on the command line: what they print, and what they refuse."""

import json
import re
import shutil

import pyarrow.parquet as pq
import pytest

from gristmill.storage.shards import lock
from tests.commands.test_bad_input import refused

BARE = ("--local", "--no-prefect", "--set", "export={card: false, report: false}")


@pytest.fixture
def two(call) -> list[str]:
    """Two runs that keep six rows and four of them."""
    sets = ((), ("--set", "stages.-1.k=4"))
    return [json.loads(call("run", "tiny.yaml", "--json", *s, *BARE)[1])["run_dir"] for s in sets]


def test_two_runs_as_a_table_as_json_and_in_the_report(call, two, place) -> None:
    code, out, _ = call("diff", *two)
    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert f"a  {two[0]}: 6 rows\nb  {two[1]}: 4 rows\n4 rows in both (4 by id)\n" in out
    counts = (
        "4 the same\n0 say the same, with other scores or notes\n0 changed\n0 added\n2 removed\n"
    )
    assert counts in re.sub("(?m)^ +", "", out)
    assert ["longest", "20", "20", "6", "4", "14", "16", "0", "0"] in lines
    assert "  longest: not_selected 14 -> 16" in out
    assert sum(line.startswith("removed ") for line in out.splitlines()) == 2
    told = json.loads(call("diff", *two, "--json")[1])
    assert (told["rows"], told["same"], told["removed"], told["added"]) == ([6, 4], 4, 2, 0)
    assert told["funnel"][-1]["b"]["codes"] == {"not_selected": 16}
    assert call("report", two[1], "--against", two[0])[0] == 0
    page = (place / two[1] / "report.html").read_text()
    assert '<section id="against">' in page
    assert 'removed <b><a href="#against-removed">2</a></b>' in page


def test_a_run_is_compared_with_a_folder(call, two) -> None:
    code, out, _ = call("diff", f"{two[0]}/dataset", two[1])
    assert (code, "2 removed" in out, "kept a" in out) == (0, True, False)


def test_what_cannot_be_compared_is_named_with_the_fix(call, two, place) -> None:
    refused(call("diff", two[0], "gone"), 2, "no run 'gone' in runs; did you mean ['tiny-")
    (place / "empty").mkdir()
    refused(call("diff", two[0], "empty"), 2, "empty has no Parquet files; expected a run")
    shutil.rmtree(place / two[0] / "dataset")
    refused(call("diff", *two), 2, "has no dataset: its files were deleted; run its recipe again")


def test_a_report_of_a_dataset_that_was_edited_by_hand_is_refused(call, two, place) -> None:
    assert call("report", two[0])[0] == 0
    file = next((place / two[0]).glob("dataset/data/*.parquet"))
    file.write_bytes(file.read_bytes() + b"x")
    looks = (("report", two[0]), ("diff", *two), ("review", two[0], "--export", "x.json"))
    for words in looks:
        refused(call(*words), 2, f"{file.name} cannot be read: edited by hand; run its recipe")
    table = pq.read_table(place / two[1] / "dataset" / "data")
    pq.write_table(table, file)
    for words in looks:
        refused(call(*words), 2, f"{file.name} changed since the dataset was written")
    assert call("review", two[1], "--export", "x.json")[0] == 0


@pytest.mark.parametrize("is_told", [True, False])
def test_an_edited_dataset_is_told_with_checksums_and_without(call, two, place, is_told) -> None:
    folder = place / two[0] / "dataset"
    file = next(folder.glob("data/*.parquet"))
    looks = (("report", two[0]), ("diff", *two), ("review", two[0], "--export", "x.json"))
    if is_told:
        call("report", two[0])
    table = pq.read_table(file)
    pq.write_table(table.drop_columns(["id"]), file)
    for words in looks:
        refused(call(*words), 2, f"{file.name} has no column id: edited by hand; run its recipe")
    pq.write_table(table.slice(1), file)
    shutil.copy(file, folder / "data" / "train-more.parquet")
    for words in looks if is_told else ():
        refused(call(*words), 2, "train-00000-of-00001.parquet, data/train-more.parquet changed")
    (folder / "croissant.json").unlink(missing_ok=True)  # as if the edits were meant
    assert [call(*words)[0] for words in looks] == [0, 0, 0]


def test_a_run_that_is_under_way_is_waited_for(call, two, place) -> None:
    (place / two[0] / "ledger.json").unlink()
    wait = "has not ended yet: wait for it, or stop it by Ctrl-C; `build-dataset status tiny-"
    with lock(place / ".gristmill" / "lock"):
        for argv in (("diff", *two), ("report", two[1], "--against", two[0]), ("report", two[0])):
            refused(call(*argv), 4, wait)
    refused(call("diff", *two), 2, "found an unfinished run", "run its recipe again to finish it")


def test_hostile_names_and_texts_do_nothing_to_a_terminal(call, two, place) -> None:
    import pyarrow as pa

    evil = "Say \x1b]0;owned\x07this\x1b[31m."
    for name, texts in (("x", ["Go."]), ("y", [evil])):
        (place / name).mkdir()
        pq.write_table(pa.table({"text": texts, "\x1b[31mred": texts}), place / name / "a.parquet")
    code, out, _ = call("diff", "x", "y")
    assert (code, "\x1b" in out, "\x07" in out) == (0, False, False)
    assert "Say this." in out
