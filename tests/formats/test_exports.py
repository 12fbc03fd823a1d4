"""What trainers get: every format, the split, and the folder as `datasets` reads it."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import ValidationError

from gristmill.formats import trainers
from gristmill.formats.exports import Export, held_out, write_dataset
from gristmill.formats.readers import Seeds, SeedSpec, from_rows, read
from gristmill.pipelines.seeds import seed_rows
from gristmill.storage.rows import SYSTEM, schema_of, to_table
from gristmill.text import tool_calls

FORMATS: list[Any] = ["messages", "sharegpt", "alpaca", "prompt-completion"]
CALL = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}]
TOOLED = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is f(1)?"},
    {"role": "assistant", "content": None, "tool_calls": CALL},
    {"role": "tool", "content": "42", "tool_call_id": "1"},
    {"role": "assistant", "content": "42."},
]
BOTH = [
    {"role": "user", "content": "f(1) and f(2)?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": name, "type": "function", "function": {"name": "f", "arguments": {"x": x}}}
            for name, x in (("a", 1001), ("b", 1002))
        ],
    },
    {"role": "tool", "tool_call_id": "b", "name": "f", "content": "22"},
    {"role": "tool", "tool_call_id": "a", "name": "f", "content": "11"},
    {"role": "assistant", "content": "11 and 22."},
]
"""Two calls at once, answered in the other order."""
LONG = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Bye"},
    {"role": "assistant", "content": "Bye!"},
]


def table_of(seeds: Seeds) -> pa.Table:
    return to_table(seed_rows(seeds), schema_of({**seeds.columns, **SYSTEM}))


def export(rows: list[Any], folder: Path, *formats: Any, rate: float = 0.0) -> dict[str, int]:
    wanted = Export(formats=list(formats or FORMATS), validation_rate=rate)
    return write_dataset(table_of(from_rows(rows)), folder, wanted)


def lines(folder: Path, form: str, split: str = "train") -> list[Any]:
    text = (folder / "exports" / form / f"{split}.jsonl").read_bytes().decode()
    return [json.loads(line) for line in text.splitlines()]


def test_one_exchange_in_every_format(tmp_path) -> None:
    files = export([{"instruction": "Add.", "input": "1 2", "output": "3", "x": 1}], tmp_path)
    turns = [{"role": "user", "content": "Add.\n\n1 2"}, {"role": "assistant", "content": "3"}]
    said = [{"from": "human", "value": "Add.\n\n1 2"}, {"from": "gpt", "value": "3"}]
    assert lines(tmp_path, "messages") == [{"messages": turns}]
    assert lines(tmp_path, "sharegpt") == [{"conversations": said}]
    assert lines(tmp_path, "alpaca") == [{"instruction": "Add.", "input": "1 2", "output": "3"}]
    assert lines(tmp_path, "prompt-completion") == [{"prompt": "Add.\n\n1 2", "completion": "3"}]
    assert files == {
        "data/train-00000-of-00001.parquet": 1,
        **{f"exports/{form}/train.jsonl": 1 for form in FORMATS},
    }


@pytest.mark.parametrize("note", ["<noinput>", "N/A", "No input required."])
def test_a_note_that_there_is_no_input_is_not_trained_on(tmp_path, note) -> None:
    export([{"instruction": "Name a tree.", "input": note, "output": "Oak"}], tmp_path)
    turns = [{"role": "user", "content": "Name a tree."}, {"role": "assistant", "content": "Oak"}]
    assert lines(tmp_path, "messages") == [{"messages": turns}]
    assert lines(tmp_path, "alpaca") == [
        {"instruction": "Name a tree.", "input": "", "output": "Oak"}
    ]
    assert lines(tmp_path, "prompt-completion")[0]["prompt"] == "Name a tree."
    (kept,) = pq.read_table(tmp_path / "data").to_pylist()
    assert kept["input"] == note, "the Parquet file has the row as it came"


def test_the_same_question_is_on_one_side_with_and_without_a_note(tmp_path) -> None:
    rows = [
        {"instruction": f"Say {i}.", "input": note, "output": f"{i} {note}"}
        for i in range(40)
        for note in ("", "<noinput>")
    ]
    table = table_of(from_rows(rows))
    sides = dict[str, set[bool]]()
    for said, held in zip(table["instruction"].to_pylist(), held_out(table, 0.5), strict=True):
        sides.setdefault(said, set()).add(held)
    assert {len(side) for side in sides.values()} == {1}
    assert set.union(*sides.values()) == {True, False}


def test_conversations_are_exported_whole_with_all_that_their_turns_carry(tmp_path) -> None:
    export([{"messages": TOOLED, "tools": [{"name": "f", "x": 1}, {"name": "g"}]}], tmp_path)
    assert lines(tmp_path, "messages") == [
        {"messages": TOOLED, "tools": [{"name": "f", "x": 1}, {"name": "g"}]}
    ]
    assert lines(tmp_path, "prompt-completion") == [
        {
            "prompt": TOOLED[:4],
            "completion": TOOLED[4:],
            "tools": [{"name": "f", "x": 1}, {"name": "g"}],
        }
    ]
    (shared,) = lines(tmp_path, "sharegpt")
    assert shared["conversations"][2] == {"from": "gpt", "value": None, "tool_calls": CALL}
    assert not (tmp_path / "exports" / "alpaca").exists(), "alpaca has no place for tools"


SEEN = [
    {"type": "text", "text": "Look"},
    {"type": "image_url", "image_url": {"url": "u"}},
]


def notes(folder: Path) -> Any:
    return json.loads((folder / "exports" / "notes.json").read_text())


def test_a_conversation_is_exported_up_to_its_last_answer(tmp_path) -> None:
    after = [{"role": "user", "content": "Thanks"}, {"role": "tool", "content": "x"}]
    export([{"messages": [*LONG, *after]}, {"messages": LONG}], tmp_path, *FORMATS)
    assert [line["messages"] for line in lines(tmp_path, "messages")] == [LONG, LONG]
    assert len(lines(tmp_path, "alpaca")) == 2
    assert lines(tmp_path, "sharegpt")[0]["conversations"][-1]["value"] == "Bye!"
    assert lines(tmp_path, "prompt-completion")[0]["completion"] == LONG[-1:]
    wanted = {"left_out": {}, "cut": 1, "without_system": 0}
    assert notes(tmp_path) == {f"exports/{form}/train.jsonl": wanted for form in FORMATS}


def test_what_alpaca_has_no_place_for_is_left_out_and_counted(tmp_path) -> None:
    answer = {"role": "assistant", "content": "Yes"}
    rows = [
        {"messages": [{"role": "user", "content": SEEN}, answer]},
        {"messages": [{"role": "user", "content": SEEN[:1]}, answer]},
        {"messages": TOOLED},
        {"messages": [*LONG[1:3], answer]},
        {"messages": [{"role": "user", "content": "Hi", "name": "ann"}, answer]},
        {"instruction": "unanswered"},
    ]
    export(rows, tmp_path, "alpaca", "prompt-completion")
    assert [line["instruction"] for line in lines(tmp_path, "alpaca")] == ["Look"]
    prompts = [line["prompt"][0]["content"] for line in lines(tmp_path, "prompt-completion")]
    assert SEEN in prompts, "an image is a part of a prompt of turns"
    told = notes(tmp_path)
    assert told["exports/alpaca/train.jsonl"]["left_out"] == {
        "parts that are no text": 1,
        "tools": 1,
        "turns out of order": 1,
        "turns with more than text": 1,
        "no answer": 1,
    }
    assert told["exports/prompt-completion/train.jsonl"]["left_out"] == {"no answer": 1}


def cells(folder: Path) -> list[dict[str, str]]:
    with (folder / "exports" / "csv" / "train.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_csv_pairs_no_first_question_with_a_last_answer(tmp_path) -> None:
    said = [{"role": "system", "content": "Be brief."}, *LONG[1:3], LONG[3]]
    rows = [
        {"messages": LONG},
        {"messages": TOOLED},
        {"messages": [{"role": "user", "content": SEEN}, LONG[2]]},
        {"messages": said},
        {"instruction": "i", "output": "o"},
        {"instruction": "unanswered"},
        {"messages": LONG[1:2]},
    ]
    files = export(rows, tmp_path, "csv")
    found = {(line["instruction"], line["output"]) for line in cells(tmp_path)}
    assert found == {("Hi", "Hello"), ("i", "o"), ("unanswered", ""), ("Hi", "")}
    assert files["exports/csv/train.csv"] == 4
    assert notes(tmp_path)["exports/csv/train.csv"] == {
        "left_out": {"several turns": 2, "parts that are no text": 1},
        "cut": 1,
        "without_system": 1,
    }


def test_no_part_without_rows_is_written(tmp_path) -> None:
    files = export([{"instruction": "i", "output": "o"}], tmp_path / "a", "csv", "messages")
    names = ["data/train-00000-of-00001.parquet", "exports/csv/train.csv"]
    assert list(files) == [*names, "exports/messages/train.jsonl"]
    assert not (tmp_path / "a" / "exports" / "notes.json").exists(), "nothing was left out"
    assert list(export([{"messages": LONG}], tmp_path / "b", "csv")) == names[:1]
    assert [path.name for path in (tmp_path / "b" / "exports").rglob("*")] == ["notes.json"]
    export([{"messages": LONG}], tmp_path / "b", "messages")
    assert not (tmp_path / "b" / "exports" / "notes.json").exists(), "nothing is left out now"


def test_alpaca_has_a_history_for_every_row_if_one_row_needs_it(tmp_path) -> None:
    export([{"messages": LONG}, {"instruction": "i", "output": "o"}], tmp_path, "alpaca")
    found = sorted(lines(tmp_path, "alpaca"), key=lambda line: line["instruction"])
    assert found == [
        {
            "instruction": "Bye",
            "input": "",
            "output": "Bye!",
            "system": "Be brief.",
            "history": [["Hi", "Hello"]],
        },
        {"instruction": "i", "input": "", "output": "o", "system": "", "history": []},
    ]


def test_a_rewritten_answer_takes_the_place_of_the_conversation(tmp_path) -> None:
    table = table_of(from_rows([{"messages": LONG}]))
    place = table.column_names.index("output")
    table = table.set_column(place, "output", pa.array(["Goodbye."]))
    write_dataset(table, tmp_path, Export(formats=["messages"]))
    assert lines(tmp_path, "messages")[0]["messages"] == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Goodbye."},
    ]


def test_rows_without_an_answer_are_only_in_the_parquet_files(tmp_path) -> None:
    rows = [{"instruction": "a"}, {"instruction": "b", "output": "c"}, {"messages": LONG[:2]}]
    files = export(rows, tmp_path, "messages")
    assert files == {"data/train-00000-of-00001.parquet": 3, "exports/messages/train.jsonl": 1}


def test_labels_of_sharegpt_and_roles_of_chatml_come_back_as_they_were(tmp_path) -> None:
    said = [
        {"from": "human", "value": "Hi"},
        {"from": "function_call", "value": "{}"},
        {"from": "observation", "value": "1"},
        {"from": "gpt", "value": "One"},
    ]
    export([{"conversations": said}], tmp_path / "a", "sharegpt")
    assert lines(tmp_path / "a", "sharegpt") == [{"conversations": said}]
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "u"}}]
    turns = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": parts, "name": "ann"},
        {"role": "assistant", "content": "Yes"},
    ]
    export([{"messages": turns}], tmp_path / "b", "messages")
    assert lines(tmp_path / "b", "messages") == [{"messages": turns}]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_spreadsheet_finds_no_formula_in_csv(cell, tmp_path) -> None:
    row = {"instruction": cell, "output": 'a "quoted",\nlong = cell', "n": -5, cell: "x"}
    export([row], tmp_path, "csv")
    path = tmp_path / "exports" / "csv" / "train.csv"
    with path.open(encoding="utf-8", newline="") as handle:
        (line,) = csv.DictReader(handle)
    assert line["instruction"] == f"'{cell}"
    assert line["output"] == row["output"]
    assert line["n"] == "-5"
    assert all(not name.startswith(("=", "+", "-", "@", "\t", "\r")) for name in line)


TREE = st.lists(
    st.tuples(st.sampled_from("abcdefghij"), st.sampled_from("uvwxyz"), st.booleans()),
    min_size=1,
    max_size=60,
)


@given(tree=TREE, rate=st.sampled_from([0.1, 0.3, 0.5]), order=st.randoms())
def test_no_root_and_no_question_is_on_both_sides(tree, rate, order) -> None:
    rows = [
        {"id": f"{i}", "root": root, "parents": [root], "instruction": text if same else f"{i}"}
        for i, (root, text, same) in enumerate(tree)
    ]

    def split(some: list[Any]) -> dict[str, bool]:
        schema = pa.schema([(k, SYSTEM.get(k, pa.string())) for k in rows[0]])
        table = pa.Table.from_pylist(some, schema=schema)
        return dict(zip(table["id"].to_pylist(), held_out(table, rate), strict=True))

    sides = split(rows)
    for column in ("root", "instruction"):
        for value in {row[column] for row in rows}:
            assert len({sides[row["id"]] for row in rows if row[column] == value}) == 1
    assert not all(sides.values())
    assert split(order.sample(rows, len(rows))) == sides


def test_about_the_share_asked_for_is_held_out(tmp_path) -> None:
    rows = [{"instruction": f"Say {i}.", "output": f"{i}"} for i in range(2000)]
    files = export(rows, tmp_path, "messages", rate=0.05)
    held = files["data/validation-00000-of-00001.parquet"]
    assert 70 <= held <= 130
    assert files["exports/messages/validation.jsonl"] == held
    assert files["exports/messages/train.jsonl"] == 2000 - held


def test_another_export_leaves_no_file_of_the_one_before(tmp_path) -> None:
    rows = [{"instruction": f"Say {i}.", "output": f"{i}"} for i in range(50)]
    export(rows, tmp_path, *FORMATS, rate=0.3)
    files = export(rows, tmp_path, "alpaca")
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found - set(trainers.FILES) == files.keys()


def test_datasets_reads_the_folder_and_every_export_as_they_are(tmp_path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [{"instruction": f"Say {i}.", "output": f"{i}", "n": i} for i in range(40)]
    files = export(rows, tmp_path / "d", *FORMATS, "csv", rate=0.3)
    cache = str(tmp_path / "cache")
    loaded = datasets.load_dataset(str(tmp_path / "d"), cache_dir=cache)
    assert {split: len(part) for split, part in loaded.items()} == {
        "train": files["data/train-00000-of-00001.parquet"],
        "validation": files["data/validation-00000-of-00001.parquet"],
    }
    assert sorted([*loaded["train"]["n"], *loaded["validation"]["n"]]) == list(range(40))
    for form in FORMATS:
        folder = tmp_path / "d" / "exports" / form
        paths = {split: str(folder / f"{split}.jsonl") for split in ("train", "validation")}
        found = datasets.load_dataset("json", data_files=paths, cache_dir=cache)
        assert len(found["train"]) + len(found["validation"]) == 40


def test_an_unknown_format_or_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="'messages', 'alpaca'"):
        Export.model_validate({"formats": ["message"]})
    with pytest.raises(ValidationError, match="Extra inputs"):
        Export.model_validate({"format": []})


def test_an_empty_dataset_still_loads_with_its_columns(tmp_path) -> None:
    table = table_of(from_rows([{"instruction": "a", "output": "b"}])).slice(0, 0)
    assert write_dataset(table, tmp_path, Export(formats=["messages"], validation_rate=0.5)) == {
        "data/train-00000-of-00001.parquet": 0
    }
    assert pq.read_table(tmp_path / "data").schema.equals(table.schema)


NASTY = st.text(
    st.one_of(
        st.characters(codec="utf-8"), st.sampled_from('\u2028\u2029\x85\r\n\0\x1e\ufeff"\\,=')
    ),
    min_size=1,
)
SLOW = settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SLOW
@given(pairs=st.lists(st.tuples(NASTY, NASTY, NASTY), min_size=1, max_size=5))
@pytest.mark.parametrize("form", FORMATS)
def test_texts_survive_writing_reading_exporting_and_reading_again(
    form, pairs, tmp_path_factory
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    rows = [
        {"messages": [{"role": "system", "content": system}, *pair(asked, answered)]}
        for system, asked, answered in pairs
    ]
    (folder / "in.jsonl").write_bytes("\r\n".join(map(json.dumps, rows)).encode())
    first = read(SeedSpec(path=str(folder / "in.jsonl")))
    write_dataset(table_of(first), folder / "d", Export(formats=[form]))
    again = read(SeedSpec(path=str(folder / "d" / "exports" / form / "train.jsonl")))
    texts = sorted((row["instruction"], row["output"]) for row in again.rows)
    assert texts == sorted((asked, answered) for _, asked, answered in pairs)
    if form != "alpaca":
        key = "messages"
        assert sorted(map(str, (row[key] for row in again.rows))) == sorted(
            map(str, (row[key] for row in first.rows))
        )
    assert again.malformed == first.malformed == []


def pair(asked: str, answered: str) -> list[Any]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]


def test_pairs_are_turns_as_trainers_of_preferences_read_them(tmp_path) -> None:
    asked = {"role": "user", "content": "Name a tree."}
    texts = {"prompt": "Name a tree.", "chosen": "Oak.", "rejected": "Grass."}
    chat = [LONG[1], LONG[2], LONG[3]]
    turns = {"instruction": "Hi", "messages": [{**turn, "extra": None} for turn in chat]}
    told = {"x": {"margin": 0.5, "chosen_from": "a", "other": 1}}
    rows = [texts, {**turns, "chosen": "Bye!", "rejected": "No."}, {"prompt": "Alone?"}]
    named = [{**row, "meta": told if row is texts else {}} for row in rows]
    table = to_table(named, schema_of(SYSTEM))
    write_dataset(table, tmp_path, Export(formats=["preference"]))
    one, several = lines(tmp_path, "preference")
    assert one == {
        "prompt": [asked],
        "chosen": [{"role": "assistant", "content": "Oak."}],
        "rejected": [{"role": "assistant", "content": "Grass."}],
        "margin": 0.5,
        "chosen_from": "a",
    }
    assert several["prompt"] == chat
    assert several["rejected"] == [{"role": "assistant", "content": "No."}]
    notes = json.loads((tmp_path / "exports" / "notes.json").read_text())
    assert notes["exports/preference/train.jsonl"]["left_out"] == {"no pair": 1}


def test_a_pair_that_came_as_turns_goes_as_turns(tmp_path) -> None:
    chosen, rejected = (LONG[1:3], [LONG[1], {"role": "assistant", "content": "No."}])
    export([{"chosen": chosen, "rejected": rejected}], tmp_path, "preference")
    (line,) = lines(tmp_path, "preference")
    assert line == {"prompt": [LONG[1]], "chosen": [LONG[2]], "rejected": rejected[1:]}


TEMPLATE = """{%- if tools %}<tools>{% for tool in tools %}{{ tool | tojson }}{% endfor %}</tools>
{% endif %}{%- for message in messages %}<{{ message.role }}>{{ message.content or "" }}
{%- for call in message.tool_calls or [] %}<call>{"name": "{{ call.function.name }}", \
"arguments": {{ call.function.arguments | tojson }}}</call>{% endfor %}
{% endfor %}"""


def test_calls_and_functions_that_a_stage_wrote_render_through_a_chat_template(tmp_path) -> None:
    call = {"name": "f", "arguments": {"x": 1}}
    turns = [tool_calls.said("user", "f(1)?"), tool_calls.calling([call], ["c"], "Hm.")]
    turns += [tool_calls.answering("c", "f", "42"), tool_calls.said("assistant", "42.")]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    row = {"instruction": "f(1)?", "output": "42.", "messages": turns}
    plain = {"instruction": "Hi", "output": "Hello"}
    seeds = seed_rows(from_rows([row, plain]))
    meta = {"meta": {"search": {"tools": json.dumps(tools)}, "other": {}}}
    table = to_table([{**one, **meta} for one in seeds], schema_of({}))
    write_dataset(table, tmp_path, Export(formats=FORMATS))
    made = {len(line["messages"]): line for line in lines(tmp_path, "messages")}
    env = ImmutableSandboxedEnvironment()
    env.filters["tojson"] = json.dumps  # as transformers has it: nothing is escaped for HTML
    assert env.from_string(TEMPLATE).render(**made[4]) == (
        f"<tools>{json.dumps(tools[0])}</tools>\n<user>f(1)?\n"
        '<assistant>Hm.<call>{"name": "f", "arguments": {"x": 1}}</call>\n'
        "<tool>42\n<assistant>42.\n"
    )
    assert "tools" not in made[2], "a row that calls nothing has none"
    for form in ("sharegpt", "prompt-completion"):
        (line,) = (line for line in lines(tmp_path, form) if "tools" in line)
        assert line["tools"] == tools


def one_by_one(tmp_path: Path, *formats: Any) -> None:
    wanted = Export(formats=list(formats), calls="one_by_one")
    write_dataset(table_of(from_rows([{"messages": BOTH}])), tmp_path, wanted)


def test_calls_of_one_turn_may_be_written_one_by_one(tmp_path) -> None:
    export([{"messages": BOTH}], tmp_path, "messages")
    assert lines(tmp_path, "messages")[0]["messages"] == BOTH
    one_by_one(tmp_path, "messages", "sharegpt", "prompt-completion")
    asked, called, second, first, answered = BOTH
    one, two = called["tool_calls"]
    alone = [{**called, "tool_calls": [call]} for call in (one, two)]
    wanted = [asked, alone[0], first, alone[1], second, answered]
    assert lines(tmp_path, "messages")[0]["messages"] == wanted
    whole = lines(tmp_path, "prompt-completion")[0]
    assert [*whole["prompt"], *whole["completion"]] == wanted
    assert len(lines(tmp_path, "sharegpt")[0]["conversations"]) == 6


@pytest.mark.parametrize(
    "name", ["llama3_1", "llama3_2", "gptoss", "qwen2_5", "qwen3", "glm4moe", "gemma4"]
)
def test_calls_one_by_one_are_whole_in_the_templates_of_models(name, tmp_path) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    folder = Path(pytest.importorskip("trl").__file__).parent / "chat_templates"
    one_by_one(tmp_path, "messages")
    turns = lines(tmp_path, "messages")[0]["messages"]
    source = (folder / f"{name}.jinja").read_text(encoding="utf-8")
    text = render_jinja_template([turns], chat_template=source)[0][0].partition("f(2)?")[2]
    assert re.findall(r"\b(?:1001|1002|11|22)\b", text) == ["1001", "11", "1002", "22", "11", "22"]
