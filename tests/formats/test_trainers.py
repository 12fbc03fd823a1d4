"""What trainers read beside the exports, checked by the trainers' own rules."""

import json

import datasets
import pytest
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

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


CALLED = """{% for tool in tools or [] %}[{{ tool.function.name }}]{% endfor %}
{%- for message in messages %}<{{ message['role'] }}>{{ message['content'] or '' }}
{%- for call in message.tool_calls or [] %}{{ call.function.name }}({{ call.function.arguments.x }})
{%- endfor %}{% if message.tool_call_id %}#{{ message.tool_call_id }}{% endif %}{% endfor %}"""


def as_axolotl_reads(folder, line: dict, entry: dict) -> str:
    """Render a line by Axolotl's documented rules for `type: chat_template`.

    Role and content by their mapping, all else that the template names as it is; arguments in JSON
    are parsed; tools that are no list end the training.
    """
    names = entry.get("message_property_mappings", {"role": "role", "content": "content"})
    roles = {"human": "user", "gpt": "assistant"}
    turns = []
    for raw in line[entry["field_messages"]]:
        turn = {ours: raw[theirs] for ours, theirs in names.items() if raw.get(theirs) is not None}
        turn["role"] = roles.get(turn["role"], turn["role"])
        rest = {key: raw[key] for key in ("tool_calls", "tool_call_id") if raw.get(key) is not None}
        for call in rest.get("tool_calls", ()):
            if isinstance(said := call["function"]["arguments"], str):
                call["function"]["arguments"] = json.loads(said)
        turns.append({**turn, **rest})
    tools = line.get("tools")
    assert isinstance(tools, list | None)
    return ImmutableSandboxedEnvironment().from_string(CALLED).render(messages=turns, tools=tools)


@pytest.mark.parametrize("form", ["messages", "sharegpt"])
def test_axolotl_reads_calls_of_tools_and_what_they_may_call(form, tmp_path) -> None:
    function = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    ways = [
        [function],
        json.dumps([function], indent=1),
        [json.dumps(function)],
        json.dumps(function),
    ]
    export([{"messages": TOOLED, "tools": way} for way in ways], tmp_path, form)
    other = json.loads(json.dumps(TOOLED).replace('{\\"x\\": 1}', '{\\"x\\": \\"one\\"}'))
    more = tmp_path / "more"
    export([{"messages": other, "tools": "a hammer"}, {"messages": TOOLED}, PLAIN], more, form)
    told = []
    for folder in (tmp_path, more):
        (entry,) = yaml.safe_load((folder / "exports" / "axolotl.yaml").read_text())["datasets"]
        assert (entry["type"], entry["ds_type"]) == ("chat_template", "json")
        rows = datasets.load_dataset(
            "json", data_files=str(folder / entry["path"]), split="train", cache_dir=str(folder)
        )
        told += [as_axolotl_reads(folder, row, entry) for row in rows]
    talk = "<system>Be brief.<user>What is f(1)?<assistant>f(1)<tool>42#1<assistant>42."
    wanted = [f"[f]{talk}"] * 4 + [talk, talk.replace("f(1)<", "f(one)<")]
    assert sorted(told) == sorted([*wanted, "<user>Add.\n\n1 2<assistant>3"])


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
