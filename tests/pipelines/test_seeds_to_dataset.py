"""From a user's messy file to the files a trainer reads, through a whole run."""

import json
from typing import Any

import pytest

from gristmill import run
from gristmill.pipelines import Recipe

ROWS: list[dict[str, Any]] = [
    {"id": i, "prompt": f"Explain topic {i} well.", "response": f"Topic {i} is about =SUM({i})."}
    for i in range(30)
]


@pytest.fixture
def result(tmp_path):
    lines = [json.dumps(row) for row in ROWS]
    lines.insert(5, '{"prompt": "cut of')
    (tmp_path / "mine.jsonl").write_text("\n".join(lines))
    recipe = Recipe(
        name="keep",
        seeds={"path": str(tmp_path / "mine.jsonl")},
        stages=[{"use": "filters.exact_duplicates"}],
        export={"formats": ["messages", "csv"], "validation_rate": 0.3},
    )
    return run(recipe, workspace=tmp_path)


def test_malformed_lines_and_what_was_done_to_the_input_are_in_the_run(result) -> None:
    (line,) = map(json.loads, (result.path / "malformed.jsonl").read_text().splitlines())
    assert (line["file"], line["line"], line["text"]) == ("mine.jsonl", 6, '{"prompt": "cut of')
    said = json.loads((result.path / "ledger.json").read_text())["input"]
    assert (said["rows"], said["malformed"], said["shape"]) == (30, 1, "prompt/response")
    assert "column 'id' is now 'id_original'" in said["notes"]


def test_the_folder_loads_as_it_is_beside_its_card_and_exports(result, tmp_path) -> None:
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(result.folder), cache_dir=str(tmp_path / "cache"))
    assert loaded.keys() == {"train", "validation"}
    found = [*loaded["train"]["id_original"], *loaded["validation"]["id_original"]]
    assert sorted(found) == list(range(30))
    for split in ("train", "validation"):
        lines = (result.folder / "exports" / "messages" / f"{split}.jsonl").read_text()
        said = [json.loads(line)["messages"][0]["content"] for line in lines.splitlines()]
        assert said == list(loaded[split]["instruction"])
    assert (result.folder / "README.md").exists()


def test_the_dataset_of_one_run_is_the_input_of_the_next(result, tmp_path) -> None:
    recipe = Recipe(
        name="again",
        seeds={"path": str(result.folder / "data")},
        stages=[{"use": "filters.exact_duplicates"}],
    )
    again = run(recipe, workspace=tmp_path / "again")
    texts = [(row["instruction"], row["output"]) for row in again.dataset.to_pylist()]
    assert sorted(texts) == sorted((row["prompt"], row["response"]) for row in ROWS)
