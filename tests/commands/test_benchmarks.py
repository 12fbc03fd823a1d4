import json


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
