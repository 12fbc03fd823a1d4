import gzip
import json

import pytest

from gristmill.errors import InputError
from gristmill.formats.benchmarks import add, load, rows_of, verified


def pin(tmp_path, row, name="set", columns=None, ending="jsonl"):
    lines = json.dumps(row) + "\n"
    path = tmp_path / f"{name}.{ending}"
    path.write_bytes(gzip.compress(lines.encode()) if ending.endswith("gz") else lines.encode())
    add(tmp_path / "benchmarks.json", name, str(path), columns or {})
    return rows_of(tmp_path / "benchmarks.json", name)[0]


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (
            {"task_id": "HumanEval/0", "prompt": "def f(x):", "canonical_solution": "  return x"},
            ("HumanEval/0", "def f(x):", "  return x", True),
        ),
        ({"text": "Sort.", "code": "sorted(x)", "task_id": 2}, ("2", "Sort.", "sorted(x)", True)),
        ({"question": "2+2?", "answer": "#### 4"}, ("line 1", "2+2?", "#### 4", False)),
        ({"key": 1000, "prompt": "Use no commas."}, ("1000", "Use no commas.", "", False)),
        (
            {"ID": "chal-1", "Body": "A box costs 3.", "Question": "How much?", "Answer": 3.0},
            ("chal-1", "A box costs 3. How much?", "", False),
        ),
        (
            {"problem": "Find x.", "solution": "x is 1", "answer": "1", "unique_id": "a/b"},
            ("a/b", "Find x.", "x is 1", False),
        ),
    ],
    ids=["humaneval", "mbpp", "gsm8k", "ifeval", "svamp", "math"],
)
def test_the_usual_sets_are_read_as_they_come(tmp_path, row, wanted) -> None:
    found = pin(tmp_path, row)
    assert (found.id, found.question, found.solution, found.is_code) == wanted


def test_any_other_set_is_read_by_the_names_of_its_columns(tmp_path) -> None:
    row = {"q": "Why?", "a": "So.", "n": 5, "question": ""}
    found = pin(tmp_path, row, columns={"question": "q", "solution": "a", "id": "n"})
    assert (found.id, found.question, found.solution) == ("5", "Why?", "So.")
    with pytest.raises(InputError, match=r"no question among .*--map question=YOURS"):
        pin(tmp_path, row)


def test_a_packed_set_is_read_and_pinned_by_what_it_holds(tmp_path) -> None:
    assert pin(tmp_path, {"question": "Why?"}, ending="jsonl.gz").question == "Why?"


def test_a_set_that_changed_since_it_was_pinned_is_an_error(tmp_path) -> None:
    pin(tmp_path, {"question": "Why?"})
    registry = tmp_path / "benchmarks.json"
    assert verified(registry, "set")[0] == load(registry)["set"]
    (tmp_path / "set.jsonl").write_text('{"question": "Why not?"}\n')
    with pytest.raises(InputError, match=r"has changed since it was pinned .*benchmarks add set"):
        rows_of(registry, "set")


def test_a_set_that_is_gone_or_unknown_is_an_error(tmp_path) -> None:
    pin(tmp_path, {"question": "Why?"})
    (tmp_path / "set.jsonl").unlink()
    with pytest.raises(InputError, match=r"there is no file .*set.jsonl"):
        rows_of(tmp_path / "benchmarks.json", "set")
    with pytest.raises(InputError, match=r"no benchmark 'sett' in .*\['set'\]"):
        rows_of(tmp_path / "benchmarks.json", "sett")


@pytest.mark.parametrize(
    ("content", "why"),
    [("", "has no rows"), ('{"question": "Why?"}\n[1]\n', "line 2 is no row"), ("{", "no row")],
)
def test_a_set_that_is_none_is_not_pinned(tmp_path, content, why) -> None:
    (tmp_path / "set.jsonl").write_text(content)
    with pytest.raises(InputError, match=why):
        add(tmp_path / "benchmarks.json", "set", str(tmp_path / "set.jsonl"), {})
    assert load(tmp_path / "benchmarks.json") == {}


def test_a_name_with_other_letters_and_an_unknown_column_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="letters, digits"):
        pin(tmp_path, {"question": "Why?"}, name="my set")
    with pytest.raises(InputError, match="expected id, question or solution"):
        pin(tmp_path, {"question": "Why?"}, columns={"answer": "x"})


def test_a_damaged_registry_is_an_error(tmp_path) -> None:
    (tmp_path / "benchmarks.json").write_text('{"set": {"sha": 1}}')
    with pytest.raises(InputError, match="is no registry of benchmarks"):
        load(tmp_path / "benchmarks.json")


def test_a_set_beside_the_registry_moves_with_it(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    pin(tmp_path / "a", {"question": "Why?"})
    (tmp_path / "a").rename(tmp_path / "b")
    assert rows_of(tmp_path / "b" / "benchmarks.json", "set")[0].question == "Why?"


def test_a_set_of_the_hub_is_copied_because_it_may_change_there(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "name").mkdir(parents=True)  # `datasets` reads a folder of that name
    (tmp_path / "owner/name/test.jsonl").write_text('{"question": "Why?", "answer": "So."}\n')
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    registry = tmp_path / "kept" / "benchmarks.json"
    pin = add(registry, "far", "hub:owner/name", {})
    assert (pin.path, pin.source) == ("benchmarks/far.jsonl", "hub:owner/name@test")
    own = add(registry, "own", "hub:owner/name", {"question": "answer", "solution": "question"})
    assert own.sha256 == pin.sha256, "its columns keep their names"
    (tmp_path / "owner/name/test.jsonl").unlink()
    found = rows_of(registry, "far")[0]
    assert (found.question, found.solution) == ("Why?", "So.")
    assert rows_of(registry, "own")[0].question == "So."


def test_one_of_several_sets_under_a_name_of_the_hub_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "owner" / "two"
    folder.mkdir(parents=True)
    configs = [{"config_name": name, "data_files": f"{name}.jsonl"} for name in ("main", "other")]
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps(configs)}\n---\n")
    for name in ("main", "other"):
        (folder / f"{name}.jsonl").write_text(json.dumps({"question": f"Why {name}?"}) + "\n")
    registry = tmp_path / "kept" / "benchmarks.json"
    with pytest.raises(InputError, match="Config name is missing"):
        add(registry, "far", "hub:owner/two", {}, "train")
    pin = add(registry, "far", "hub:owner/two", {}, "train", "other")
    assert pin.source == "hub:owner/two@other/train"
    assert rows_of(registry, "far")[0].question == "Why other?"
