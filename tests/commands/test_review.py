"""review: a page until Ctrl-C, marks by files, and what the next run makes of them."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from gristmill.publishing.trace import rows
from tests.publishing.conftest import unlinked

BARE = ("--local", "--no-prefect", "--set", "export={card: true, report: false}")


def run_again(call) -> dict:
    return json.loads(call("run", "tiny.yaml", "--json", *BARE)[1])


def kept(place: Path, told: dict) -> set[str]:
    return {row["id"] for row in rows(place / told["run_dir"], end="kept", n=99)}


def test_a_mark_on_the_page_decides_the_next_run_and_the_card_counts_it(call, place) -> None:
    first = run_again(call)
    gone = min(kept(place, first))
    command = [sys.executable, "-m", "gristmill", "review", "last", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as served:
        assert served.stdout
        assert served.stderr
        url = json.loads(served.stdout.readline())["url"]
        said = {"id": gone, "says": "drop", "note": "says | nothing"}
        answer = httpx.post(f"{url}mark", json=said, trust_env=False).json()
        assert answer["row"]["mark"] == {"says": "drop", "note": "says | nothing"}
        code, _, err = call("review", "last", "--export", "x.json")
        assert (code, "under review in another terminal" in err) == (4, True)
        served.send_signal(signal.SIGINT)
        assert "1 row marked; 1 mark in all\nnext: run its recipe again" in (
            served.stderr.read().decode()
        )
    assert served.returncode == 0
    again = run_again(call)
    assert again["run_dir"] == first["run_dir"]
    assert gone not in kept(place, again)
    [row] = rows(place / again["run_dir"], code="reviewed")
    assert (row["id"], row["end_at"], row["end_detail"]) == (gone, "target", "says | nothing")
    text = unlinked((place / again["run_dir"] / "dataset" / "README.md").read_text())
    assert "- Rows taken out, with the code `reviewed`: 1." in text
    assert "reviewed rejected" not in call("trace", "last", gone)[1]
    assert "rejected  reviewed: says | nothing" in call("trace", "last", gone)[1]
    assert "MB, with 1 row marked by hand" in call("runs", "remove", first["run_dir"])[1]


def test_marks_travel_to_another_workspace_and_by_argillas_records(call, place) -> None:
    first = run_again(call)
    gone, second = sorted(kept(place, first))[:2]
    told = json.loads(call("review", "last", "--export", "records.json", "--json")[1])
    assert told == {"records": 30, "path": "records.json"}
    records = json.loads((place / "records.json").read_text())
    for record in records:
        if record["id"] in (gone, second):
            record["responses"] = {"mark": [{"value": "drop", "user_id": "0" * 32}]}
    (place / "records.json").write_text(json.dumps(records))
    code, out, _ = call("review", "last", "--import", "records.json")
    assert (code, out.split()[:2], "run its recipe again" in out) == (0, ["marked", "2"], True)
    built = kept(place, run_again(call))
    assert not built & {gone, second}
    there = ("--workspace", str(place / "there"))
    call("run", "tiny.yaml", *BARE, *there)
    marks = Path(first["run_dir"], "dataset", "marks.jsonl")
    assert call("review", "last", "--import", str(marks), *there)[0] == 0
    told = json.loads(call("run", "tiny.yaml", "--json", *BARE, *there)[1])
    assert kept(place, told) == built


def test_what_is_no_run_or_has_no_marks_is_said(call, place) -> None:
    run_again(call)
    for words in (("nowhere",), ("last", "--import", "no.jsonl"), ("last", "--import", "no.json")):
        code, _, err = call("review", *words)
        assert (code, "no" in err) == (2, True)
