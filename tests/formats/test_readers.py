"""Every format a user may bring, and everything that can be wrong with it."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.errors import InputError
from gristmill.formats.parts import NOT_UTF8, REPAIRED
from gristmill.formats.readers import Seeds, SeedSpec, from_rows, read, write_malformed

ROWS = [
    {"instruction": "Add 1 and 2.", "input": "", "output": "3", "difficulty": 0.5},
    {"instruction": "Name a colour.", "input": "", "output": 'Red,\n"or" blue', "difficulty": 1.0},
]


@pytest.fixture
def load(tmp_path: Path):
    """Write a file and read it."""

    def go(name: str, content: str | bytes, **spec: Any) -> Seeds:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read(SeedSpec(path=str(path), **spec))

    return go


def jsonl(rows: list[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def content(seeds: Seeds) -> list[Any]:
    return [{k: v for k, v in row.items() if v is not None} for row in seeds.rows]


def csv_of(rows: list[Any]) -> str:
    import csv
    import io

    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0], lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", jsonl(ROWS)),
        ("a.ndjson", jsonl(ROWS).replace("\n", "\r\n")),
        ("a.json", json.dumps(ROWS, indent=2)),
        ("lines.json", jsonl(ROWS)),
        ("a.json", json.dumps({"data": ROWS, "more": [{"x": 1}]})),
        ("a.csv", csv_of(ROWS)),
        ("a.csv", "\ufeff" + csv_of(ROWS)),
        ("a.csv", csv_of(ROWS).encode("utf-16")),
        ("a.jsonl", "\ufeff" + jsonl(ROWS)),
        ("a.jsonl.gz", gzip.compress(jsonl(ROWS).encode())),
        ("A.JSONL", "\n\n" + jsonl(ROWS) + "  \n"),
    ],
)
def test_the_same_rows_come_out_of_every_format(load, name, text) -> None:
    seeds = load(name, text)
    assert content(seeds) == ROWS
    assert seeds.shape == "alpaca"
    assert seeds.columns["difficulty"] == pa.float64()
    assert seeds.malformed == []


def test_parquet_keeps_its_types_and_null_columns(tmp_path) -> None:
    vectors = pa.array([[0.5, 1.5], [2.5, 3.5]], pa.list_(pa.float32()))
    table = pa.Table.from_pylist(ROWS).append_column("v", vectors)
    table = table.append_column("n", pa.array([1, None], pa.int16()))
    table = table.append_column("c", pa.array(["x", "y"]).dictionary_encode())
    pq.write_table(table, tmp_path / "a.parquet")
    seeds = read(SeedSpec(path=str(tmp_path / "a.parquet")))
    assert seeds.columns["v"] == pa.list_(pa.float32())
    assert seeds.columns["n"] == pa.int16()
    assert [row["c"] for row in seeds.rows] == ["x", "y"]
    assert seeds.rows[0]["v"] == [0.5, 1.5]


def test_a_type_comes_from_all_rows_and_mixtures_become_json_text() -> None:
    rows: list[dict[str, Any]] = [{"instruction": "a", "x": None}] * 9
    rows += [{"instruction": "b", "x": 0.5, "y": 1, "z": {"k": [1]}, "e": [], "big": 2**70}]
    rows += [{"instruction": "c", "x": 2, "y": "one", "z": {"j": 2}, "e": [1], "big": 1}]
    seeds = from_rows(rows)
    assert seeds.columns["x"] == pa.float64()
    assert seeds.columns["e"] == pa.list_(pa.int64())
    assert {name: seeds.columns[name] for name in "yz"} == {"y": pa.string(), "z": pa.string()}
    assert [row.get("y") for row in seeds.rows[9:]] == ["1", "one"]
    assert [json.loads(row["z"]) for row in seeds.rows[9:]] == [{"k": [1]}, {"j": 2}]
    assert [row["big"] for row in seeds.rows[9:]] == [str(2**70), "1"]


def test_ids_depend_on_the_content_and_not_on_the_types_it_gets() -> None:
    one = from_rows([{"instruction": "a", "x": 1}])
    two = from_rows([{"instruction": "a", "x": 1}, {"instruction": "b", "x": "text"}])
    assert one.ids[0] == two.ids[0]


def test_csv_numbers_are_numbers_and_codes_are_texts(load) -> None:
    seeds = load("a.csv", "question,answer,n,score,zip\nq,1.50,3,0.10,007\nr,2,,1e-3,123\n")
    assert [row["output"] for row in seeds.rows] == ["1.50", "2"]
    assert [row.get("n") for row in seeds.rows] == [3, None]
    assert [row["score"] for row in seeds.rows] == [0.1, 0.001]
    assert [row["zip"] for row in seeds.rows] == ["007", "123"]


def test_semicolons_and_tabs_separate_too(load) -> None:
    assert content(load("a.csv", "prompt;response\na, b;c\n")) == [
        {"instruction": "a, b", "output": "c"}
    ]
    assert content(load("a.tsv", "prompt\tresponse\na\tb\n")) == [
        {"instruction": "a", "output": "b"}
    ]


def test_malformed_lines_are_kept_aside_with_their_places(load, tmp_path) -> None:
    text = '{"instruction": "a"}\n{"instruction": "\\x"}\n\n[1]\n'
    text += '{"instruction": "a", "instruction": "b"}\n'
    seeds = load("a.jsonl", text.encode() + b'{"instruction": "\xff"}\n{}\n"bare"\n3')
    assert content(seeds) == [{"instruction": "a"}]
    assert [line.line for line in seeds.malformed] == [2, 4, 5, 6, 7, 8, 9]
    reasons = [line.reason for line in seeds.malformed]
    assert reasons[0].startswith("Invalid \\escape")
    assert reasons[1] == "a list, expected an object"
    assert "'instruction' is there twice" in reasons[2]
    assert reasons[3] == NOT_UTF8
    assert reasons[4] == "an empty object, expected an object"
    write_malformed(tmp_path / "malformed.jsonl", seeds.malformed)
    first = json.loads((tmp_path / "malformed.jsonl").read_text().splitlines()[0])
    assert first == {
        "file": "a.jsonl",
        "line": 2,
        "reason": reasons[0],
        "text": '{"instruction": "\\x"}',
    }
    assert (seeds.n_lines, seeds.summary()["malformed"]) == (8, 7)


def test_ragged_csv_rows_are_kept_aside_with_the_line_they_start_at(load) -> None:
    seeds = load("a.csv", b'prompt,response\n"two\nlines",b\nonly\nc,d,e\n\xff,g\nh,i\n')
    assert [row["instruction"] for row in seeds.rows] == ["two\nlines", "h"]
    assert [(m.line, m.reason) for m in seeds.malformed] == [
        (4, "1 cells, expected 2"),
        (5, "3 cells, expected 2"),
        (6, NOT_UTF8),
    ]


def test_malformed_lines_are_in_the_order_of_the_file(load) -> None:
    seeds = load("a.jsonl", '{"prompt": "a"}\n{"output": "b"}\n{\n{"output": "c"}\n')
    assert [line.line for line in seeds.malformed] == [2, 3, 4]


@pytest.mark.parametrize(
    ("good", "bad", "reason"),
    [
        ("a.csv", 'prompt\n"never closed\n', "the quote opened"),
        ("a.py", "# caf\u00e9", "line 1: not UTF-8"),
        ("a.json", "[", "is not JSON"),
    ],
)
def test_a_file_of_a_folder_that_cannot_be_read_is_kept_aside(tmp_path, good, bad, reason) -> None:
    rows = {"a.csv": "prompt\nWhy?\n", "a.py": "x = 1\n", "a.json": '[{"prompt": "Why?"}]'}
    (tmp_path / good).write_text(rows[good])
    (tmp_path / f"b{good[1:]}").write_bytes(bad.encode("latin-1"))
    (tmp_path / f"c{good[1:]}").write_text(rows[good])
    seeds = read(SeedSpec(path=str(tmp_path)))
    assert (len(seeds.rows), seeds.n_lines) == (2, 3)
    [aside] = seeds.malformed
    assert (aside.file, aside.line, aside.text) == (f"b{good[1:]}", 0, "")
    assert reason in aside.reason
    assert f"1 of 3 files could not be read: {aside.reason}" in seeds.notes
    (tmp_path / good).unlink()
    (tmp_path / f"c{good[1:]}").unlink()
    with pytest.raises(InputError, match=reason):
        read(SeedSpec(path=str(tmp_path)))


def test_a_file_of_python_is_read_in_the_encoding_that_it_names(load) -> None:
    seeds = load("a.py", "# -*- coding: latin-1 -*-\nx = '\u00e9'\r\n".encode("latin-1"))
    assert seeds.rows[0]["code"] == "# -*- coding: latin-1 -*-\nx = '\u00e9'\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", "", "no seeds in .*nothing in it"),
        ("a.json", "[]", "no seeds in .*nothing in it"),
        ("a.csv", "prompt,response\n", "no seeds in .*nothing in it"),
        ("a.jsonl", "not json\n", "no seeds in .*line 1: Expecting value"),
        ("a.json", '[{"a": 1},\n {"a": ', "a.json is not JSON: Expecting value, line 2"),
        ("a.json", '{"a": {"b": 1}}', "no list of objects in"),
        ("a.json", '{"a": [{"b": 1}], "c": [{"d": 1}]}', r"\['a', 'c'\]; name .* `seeds.key`"),
        ("a.json", "3", "holds a int, expected a list of objects"),
        ("a.json", b"[\xff]", "line 1: not UTF-8"),
        ("a.jsonl", '[{"prompt": "a"}]', "line 1: a list, expected an object; .* .json file"),
        ("a.jsonl", '{\n"prompt": "a"\n}\n', "line 1: Expecting .*; .*`jq -c .`"),
        ("a.csv", b"instruction\n\xe9t\xe9\n", "line 2: not UTF-8; convert it, .*`iconv"),
        ("a.py", b"x = '\xe9'\n", "a.py, line 1: not UTF-8.*`iconv"),
        ("a.py", "# coding: rot13\n", "a.py, line 1: not UTF-8"),
        ("a.csv", "a,b,a\n1,2,3\n", r"columns \['a'\] are there twice"),
        ("a.csv", 'a,b\n1,2\n"never closed,3\n4,5\n', "row at line 3 is never closed"),
        ("a.jsonl", b"\x00\x01\x02", "is binary"),
        ("a.parquet", b"PAR1 but not really", "is not readable Parquet"),
        ("a.xlsx", b"PK\x03\x04", "no reader for '.xlsx'; expected one of"),
        ("noending", b"text", r"no reader for ''.*'\.parquet', .*'\.py'"),
        ("a.jsonl.gz", b"not gzip", "cannot be read"),
    ],
)
def test_what_cannot_be_read_gives_one_clear_message(load, name, text, message) -> None:
    with pytest.raises(InputError, match=message):
        load(name, text)


def test_a_missing_file_names_the_nearest_one(tmp_path) -> None:
    (tmp_path / "alpaca.json").write_text("[]")
    with pytest.raises(InputError, match=r"did you mean '.*alpaca\.json'"):
        read(SeedSpec(path=str(tmp_path / "alpacca.json")))
    with pytest.raises(InputError, match="there is no folder"):
        read(SeedSpec(path=str(tmp_path / "nowhere" / "a.json")))
    with pytest.raises(InputError, match="cannot be read"):
        read(SeedSpec(path="nosuchprotocol://a/b.jsonl"))


def test_a_folder_a_pattern_and_a_list_are_read_in_order_of_name(tmp_path) -> None:
    for name in ("b.jsonl", "sub/c.jsonl", "a.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"instruction": name}))
    (tmp_path / "README.md").write_text("notes")
    (tmp_path / ".hidden.jsonl").write_text("x")
    seeds = read(SeedSpec(path=str(tmp_path)))
    assert [row["instruction"] for row in seeds.rows] == ["a.jsonl", "b.jsonl", "sub/c.jsonl"]
    assert any("1 other file in" in note for note in seeds.notes)
    pattern = read(SeedSpec(path=str(tmp_path / "*.jsonl")))
    assert pattern.files == [".hidden.jsonl", "a.jsonl", "b.jsonl"] or pattern.files == [
        "a.jsonl",
        "b.jsonl",
    ]
    both = read(SeedSpec(path=[str(tmp_path / "b.jsonl"), str(tmp_path / "a.jsonl")]))
    assert both.files == ["b.jsonl", "a.jsonl"]


def test_a_folder_without_anything_readable_says_what_is_expected(tmp_path) -> None:
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match=r"no file in .* ends in one of \['.c', .*'.jsonl'"):
        read(SeedSpec(path=str(tmp_path)))


def test_a_folder_of_code_gives_one_row_per_file(tmp_path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "a.py").write_bytes(b"x = 1\r\n")
    (tmp_path / "b.rs").write_text("fn main() {}\n")
    (tmp_path / "setup.json").write_text("{}")
    seeds = read(SeedSpec(path=str(tmp_path)))
    assert [(r["source"], r["lang"], r["code"]) for r in seeds.rows] == [
        ("b.rs", "rust", "fn main() {}\n"),
        ("pkg/a.py", "python", "x = 1\n"),
    ]
    assert seeds.shape == "code"


def test_a_url_is_read_through_fsspec() -> None:
    import fsspec

    with fsspec.open("memory://seeds/a.jsonl", "w") as out:
        out.write(jsonl(ROWS))
    assert content(read(SeedSpec(path="memory://seeds/a.jsonl"))) == ROWS


def test_line_separators_inside_texts_end_no_line(load) -> None:
    nasty = "a\u2028b\u2029c\x85d\x0be\x1cf \u202eרtl 👩‍👩‍👧"
    assert load("a.jsonl", jsonl([{"instruction": nasty}])).rows[0]["instruction"] == nasty
    assert load("a.csv", f'prompt\n"{nasty}"\n').rows[0]["instruction"] == nasty
    assert load("a.txt", f"{nasty}\nsecond\n").rows[0]["instruction"] == nasty


def test_a_lone_surrogate_is_replaced_and_flagged(load) -> None:
    seeds = load("a.jsonl", '{"instruction": "a\\ud800b"}\n{"instruction": "\\ud83d\\ude00"}\n')
    assert [row["instruction"] for row in seeds.rows] == ["a\ufffdb", "😀"]
    assert [row.get("flags") for row in seeds.rows] == [[REPAIRED], None]


def test_nan_is_null_and_deep_nesting_is_malformed(load) -> None:
    deep = "[" * 100 + "]" * 100
    deeper = "[" * 100_000 + "]" * 100_000
    seeds = load(
        "a.jsonl", f'{{"instruction": "a", "x": NaN, "y": 1e999}}\n{{"d": {deep}}}\n{deeper}\n'
    )
    assert content(seeds) == [{"instruction": "a"}]
    assert [m.line for m in seeds.malformed] == [2, 3]


def test_names_that_the_core_owns_are_renamed_and_reported() -> None:
    seeds = from_rows(
        [{"id": 7, "instruction": "a", "meta": {"k": 1}, "a.b": 2, "gen": "x", "": 3}]
    )
    assert content(seeds) == [
        {
            "id_original": 7,
            "instruction": "a",
            "meta_original": {"k": 1},
            "a_b": 2,
            "gen_original": "x",
            "unnamed": 3,
        }
    ]
    assert "column 'id' is now 'id_original'" in seeds.notes


def test_a_user_column_that_is_no_conversation_is_renamed() -> None:
    seeds = from_rows([{"instruction": "a", "messages": "three", "flags": 1, "lang": 5}])
    assert content(seeds) == [
        {"instruction": "a", "messages_original": "three", "flags_original": 1, "lang": "5"}
    ]


def test_a_row_without_an_instruction_is_kept_aside_where_the_others_have_one(load) -> None:
    seeds = load("a.jsonl", jsonl([{"prompt": "a"}, {"prompt": None, "x": 1}, {"x": 2}]))
    assert [row["instruction"] for row in seeds.rows] == ["a"]
    assert [(m.line, m.reason) for m in seeds.malformed] == [
        (2, "nothing in 'prompt'"),
        (3, "nothing in 'prompt'"),
    ]


def test_data_in_the_keys_is_refused(load) -> None:
    with pytest.raises(InputError, match=r"has 1001 columns.*are its keys data"):
        load("a.jsonl", jsonl([{f"user{i}": 1} for i in range(1001)]))


def test_names_with_brackets_spaces_and_folders_in_patterns_are_files(load, tmp_path) -> None:
    assert load("a [1] *.jsonl", jsonl(ROWS)).files == ["a [1] *.jsonl"]
    load("x/a.jsonl", jsonl(ROWS))
    load("y/a.jsonl", jsonl(ROWS))
    assert read(SeedSpec(path=str(tmp_path / "*" / "a.jsonl"))).files == ["x/a.jsonl", "y/a.jsonl"]


def test_one_conversation_in_an_object_is_one_row(load) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert content(load("a.json", json.dumps({"title": "t", "messages": turns})))[0]["title"] == "t"


def test_what_stands_beside_the_rows_is_carried_or_named(load, tmp_path) -> None:
    rows = [{"input": "1 2", "output": ["3"], "level": 1}, {"input": "4 5"}, {}]
    whole = {
        "Definition": "Add.",
        "Source": ["web"],
        "level": 2,
        "Authors": ["a", "b"],
        "Positive Examples": [{"input": "1 1"}],
        "Negative Examples": [],
        "Instances": rows,
    }
    seeds = load("a.json", json.dumps(whole))
    assert content(seeds) == [
        {"instruction": "Add.", "input": "1 2", "output": "3", "level": 1, "Source": ["web"]},
        {"instruction": "Add.", "input": "4 5", "level": 2, "Source": ["web"]},
    ]
    assert seeds.shape == "definition/input/output"
    assert seeds.notes == ["left out beside 'Instances' of a.json: Authors, Positive Examples"]
    assert [line.line for line in seeds.malformed] == [3]
    load("b.json", json.dumps(whole))
    both = read(SeedSpec(path=str(tmp_path)))
    assert both.notes == [seeds.notes[0].replace("a.json", "a.json (and 1 file more)")]
    asked = load("a.json", json.dumps(whole), key="Positive Examples")
    assert asked.notes == ["left out beside 'Positive Examples' of a.json: Authors, Instances"]


def test_limit_takes_the_first_rows(load) -> None:
    assert content(load("a.jsonl", jsonl(ROWS), limit=1)) == ROWS[:1]


def test_the_digest_names_the_bytes(load) -> None:
    one, two = load("a.jsonl", jsonl(ROWS)), load("a.jsonl", jsonl(ROWS[::-1]))
    assert one.digest != two.digest
    assert load("a.jsonl", jsonl(ROWS)).digest == one.digest


def test_a_dataset_is_read_through_datasets_with_its_types(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "d").mkdir()
    table = pa.Table.from_pylist(ROWS).append_column("n", pa.array([1, 2], pa.int8()))
    pq.write_table(table, tmp_path / "d" / "test.parquet")
    seeds = read(SeedSpec(path=f"hub:{tmp_path / 'd'}", split="test[:1]"))
    assert content(seeds) == [{**ROWS[0], "n": 1}]
    assert seeds.columns["n"] == pa.int8()
    with pytest.raises(InputError, match="train"):
        read(SeedSpec(path=f"hub:{tmp_path / 'd'}", split="train"))


def test_of_a_dataset_on_the_hub_only_the_first_rows_are_streamed(tmp_path) -> None:
    (tmp_path / "set").mkdir()
    lines = [json.dumps({"instruction": f"Say {i}.", "tags": ["a", str(i)]}) for i in range(9)]
    for name in "abc":  # one file ahead is read
        (tmp_path / "set" / f"{name}.jsonl").write_text("\n".join(lines))
    (tmp_path / "set" / "d.jsonl").write_text("this would stop who reads all of it")
    seeds = read(SeedSpec(path=f"hub:{tmp_path / 'set'}", limit=4))
    assert [row["instruction"] for row in seeds.rows] == [f"Say {i}." for i in range(4)]
    assert seeds.rows[3]["tags"] == ["a", "3"]


def test_a_dataset_that_cannot_be_loaded_from_the_hub_says_so(monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="hub:nobody/nothing cannot be loaded"):
        read(SeedSpec(path="hub:nobody/nothing"))
