import hashlib
import json
import os
import subprocess
import sys

import pytest

from tests.publishing.hub_server import TOKEN, serving


def test_a_set_is_pinned_and_listed(place, call) -> None:
    (place / "set.jsonl").write_text('{"question": "Why is the sky blue?"}\n')
    code, out, _ = call("benchmarks", "add", "mine", "set.jsonl")
    assert code == 0
    assert "mine: 1 row, sha256 " in out
    assert "benchmarks: [mine]" in out
    found = json.loads(call("benchmarks", "list", "--json")[1])["benchmarks"]
    assert [(b["name"], b["rows"], b["source"], b["state"]) for b in found] == [
        ("mine", 1, "set.jsonl", "as pinned")
    ]


def test_a_changed_set_is_listed_as_changed_and_stops_the_check(place, call) -> None:
    (place / "set.jsonl").write_text('{"question": "Why is the sky blue?"}\n')
    call("benchmarks", "add", "mine", "set.jsonl")
    use = "stages=[{use: filters.contamination, benchmarks: [mine]}]"
    assert call("check", "tiny.yaml", "--set", use, "--set", "engines={}")[0] == 0
    (place / "set.jsonl").write_text('{"question": "Why is the sea blue?"}\n')
    assert "has changed since it was pinned" in call("benchmarks", "list")[1]
    code, _, err = call("check", "tiny.yaml", "--set", use, "--set", "engines={}")
    assert code == 2
    assert "has changed since it was pinned" in err


def test_half_an_order_is_refused(call) -> None:
    code, _, err = call("benchmarks", "add", "mine")
    assert code == 2
    assert "expected a name and a file" in err
    assert call("benchmarks", "list")[:2] == (0, "no benchmarks in .gristmill/benchmarks.json\n")


def test_the_number_of_programs_that_can_be_found_is_said(place, call) -> None:
    rows = [{"prompt": "Do it.", "code": code} for code in ("x = 1", "x = 1\n" * 9)]
    (place / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = call("benchmarks", "add", "mine", "set.jsonl")[1]
    assert "long enough to be looked for: 1 of 2 programs" in out


@pytest.mark.slow
def test_a_set_of_the_hub_is_downloaded_once_and_pinned_as_it_was(place, call) -> None:
    rows = [{"question": "How many legs have three spiders together?", "answer": "24"}]
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    with serving() as hub:
        hub.blobs["1"], hub.blobs["2"] = text, text * 3
        files = {"test.jsonl": "1", "train.jsonl": "2"}
        hub.repos["someone/set"] = {"private": False, "branches": {"main": files}, "commits": []}
        environment = os.environ | {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(place / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "HF_TOKEN": TOKEN,
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [sys.executable, "-m", "gristmill", "benchmarks", "add", "far", "hub:someone/set"]
        done = subprocess.run(
            command, cwd=place, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert "far: 1 row, sha256 " in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    (found,) = json.loads(call("benchmarks", "list", "--json")[1])["benchmarks"]
    assert (found["source"], found["state"]) == ("hub:someone/set@test", "as pinned")
    assert found["path"] == "benchmarks/far.jsonl"
    held = (place / ".gristmill" / found["path"]).read_bytes()
    assert hashlib.sha256(held).hexdigest() == found["sha256"]
    assert json.loads(held) == rows[0]
    (place / ".gristmill" / found["path"]).unlink()
    assert "there is no file" in call("benchmarks", "list")[1]
