"""What trainers read beside the exports, checked by the trainers' own rules."""

import json

import pytest
import yaml

from gristmill.formats.exports import Export, write_dataset
from gristmill.storage.rows import SYSTEM, schema_of, to_table
from tests.formats.test_exports import LONG, TOOLED, export, lines

PLAIN = {"instruction": "Add.", "input": "1 2", "output": "3"}
TALK = {"messages": LONG}
PAIR = {"prompt": "Name a tree.", "chosen": "Oak.", "rejected": "Grass."}


def registry(folder) -> dict:
    return json.loads((folder / "exports" / "dataset_info.json").read_text())


def test_the_registry_names_every_export_that_is_there_with_its_columns(tmp_path) -> None:
    export([PLAIN, TALK], tmp_path, "alpaca", "messages", "sharegpt", rate=0.5)
    told = registry(tmp_path)
    there = {p.parent.name for p in (tmp_path / "exports").glob("*/*.jsonl")}
    assert {name.removesuffix("_validation") for name in told} == there
    for name, entry in told.items():
        form, _, split = name.partition("_")
        assert entry["file_name"] == f"{form}/{split or 'train'}.jsonl"
        for line in lines(tmp_path, form, split or "train"):
            assert set(entry["columns"].values()) <= set(line)
    export([PLAIN], tmp_path, "alpaca")
    assert list(registry(tmp_path)) == ["alpaca"]
    assert registry(tmp_path)["alpaca"]["columns"].keys() == {"prompt", "query", "response"}
    export([PLAIN], tmp_path, "csv")
    assert not list((tmp_path / "exports").glob("*.json"))


@pytest.mark.parametrize("form", ["sharegpt", "messages"])
def test_every_turn_of_an_export_has_a_role_that_the_registry_names(form, tmp_path) -> None:
    export([PLAIN, TALK], tmp_path, form)
    entry = registry(tmp_path)[form]
    tags = entry["tags"]
    assert len(tags) == 7
    roles = {tags[f"{role}_tag"] for role in ("user", "assistant", "observation", "system")}
    for line in lines(tmp_path, form):
        turns = line[entry["columns"]["messages"]]
        assert {turn[tags["role_tag"]] for turn in turns} <= roles
        assert all(isinstance(turn[tags["content_tag"]], str) for turn in turns)


def test_calls_of_tools_are_read_by_the_reader_that_knows_them(tmp_path) -> None:
    quoted = {"instruction": 'What is "tool_calls":?', "output": "A key."}
    export([quoted], tmp_path, "messages")
    assert registry(tmp_path)["messages"]["formatting"] == "sharegpt"
    export([quoted, {"messages": TOOLED, "tools": []}], tmp_path, "messages", "sharegpt")
    for form, turns in (("messages", "messages"), ("sharegpt", "conversations")):
        entry = registry(tmp_path)[form]
        assert entry["formatting"] == "openai"
        assert entry["columns"] == {"messages": turns, "tools": "tools"}


def test_pairs_are_ranked_as_llama_factory_reads_them(tmp_path) -> None:
    turns = [{**turn, "extra": None} for turn in LONG[:2]]
    more = {"instruction": LONG[1]["content"], "messages": turns, "chosen": "Hi!", "rejected": "No"}
    table = to_table([{**row, "meta": {}} for row in (PAIR, more, PLAIN)], schema_of(SYSTEM))
    write_dataset(table, tmp_path, Export(formats=["ranking"]))
    one, system = lines(tmp_path, "ranking")
    assert one == {
        "conversations": [{"from": "human", "value": "Name a tree."}],
        "chosen": {"from": "gpt", "value": "Oak."},
        "rejected": {"from": "gpt", "value": "Grass."},
    }
    assert [turn["from"] for turn in system["conversations"]] == ["system", "human"]
    entry = registry(tmp_path)["ranking"]
    assert entry["ranking"] is True
    assert set(entry["columns"].values()) == set(one)


def test_axolotl_gets_the_template_of_the_trainee_where_it_can(tmp_path) -> None:
    export([PLAIN], tmp_path, "alpaca", "sharegpt", "preference")
    told = yaml.safe_load((tmp_path / "exports" / "axolotl.yaml").read_text())
    assert told == {
        "datasets": [
            {
                "path": "exports/sharegpt/train.jsonl",
                "ds_type": "json",
                "split": "train",
                "type": "chat_template",
                "field_messages": "conversations",
                "message_property_mappings": {"role": "from", "content": "value"},
            }
        ]
    }
    assert not (tmp_path / "exports" / "axolotl_dpo.yaml").exists()
    export([PAIR], tmp_path, "preference")
    told = yaml.safe_load((tmp_path / "exports" / "axolotl_dpo.yaml").read_text())
    (entry,) = told["datasets"]
    (line,) = lines(tmp_path, "preference")
    assert told["rl"] == "dpo"
    assert {entry[f"field_{name}"] for name in ("messages", "chosen", "rejected")} <= set(line)
    assert not (tmp_path / "exports" / "axolotl.yaml").exists()
