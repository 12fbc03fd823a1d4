"""The shapes that users' rows have, and what becomes of them."""

import json
from typing import Any

import pyarrow as pa
import pytest

from gristmill.errors import InputError
from gristmill.formats.parts import Part
from gristmill.formats.readers import Seeds, SeedSpec, from_parts, from_rows, require
from gristmill.storage.rows import CONTENT


def content(seeds: Seeds) -> list[Any]:
    return [{k: v for k, v in row.items() if v is not None} for row in seeds.rows]


@pytest.mark.parametrize(
    ("row", "shape", "expected"),
    [
        ({"instruction": "i", "input": "x", "output": "o"}, "alpaca", ("i", "x", "o")),
        ({"Instruction": "i", "context": "x", "Response": "o"}, "dolly", ("i", "x", "o")),
        ({"prompt": "i", "response": "o"}, "prompt/response", ("i", None, "o")),
        ({"prompt": "i", "completion": "o"}, "prompt/completion", ("i", None, "o")),
        ({"Question": "i", "Answer": 51.0}, "question/answer", ("i", None, "51.0")),
        ({"prompt": "i"}, "prompt", ("i", None, None)),
        ({"text": "i"}, "text", ("i", None, None)),
        ({"input": "i", "output": ["o", "p"]}, "input/output", ("i", None, "o")),
        ({"prompt": "i", "chosen": "o", "rejected": "p"}, "preference", ("i", None, "o")),
        (
            {"instruction": "i", "output": None, "response": "o"},
            "instruction/response",
            ("i", None, "o"),
        ),
    ],
)
def test_texts_are_found_under_their_usual_names(row, shape, expected) -> None:
    seeds = from_rows([row])
    assert seeds.shape == shape
    found = seeds.rows[0]
    assert (found["instruction"], found.get("input"), found.get("output")) == expected
    assert {"instruction", "input", "messages"} <= seeds.columns.keys()
    assert ("output" in seeds.columns) == (expected[2] is not None)


def test_columns_that_were_not_taken_over_are_carried_through() -> None:
    row = {"instruction": "i", "response": "r", "output": "o", "context": "c", "x": [1]}
    assert content(from_rows([row])) == [
        {"instruction": "i", "response": "r", "output": "o", "input": "c", "x": [1]}
    ]
    preference = {"prompt": "i", "chosen": "o", "rejected": "p"}
    assert content(from_rows([preference])) == [
        {"instruction": "i", "chosen": "o", "rejected": "p", "output": "o"}
    ]


def mapped(rows: list[Any], mapping: dict[str, str]) -> Seeds:
    part = Part("rows")
    for number, row in enumerate(rows, 1):
        part.add(number, row)
    return from_parts([part], "", [], SeedSpec(path="rows", map=mapping))


def test_a_map_names_what_no_shape_knows() -> None:
    seeds = mapped(
        [{"task": "i", "gold": "o", "output": "x"}], {"instruction": "task", "output": "gold"}
    )
    assert content(seeds) == [{"instruction": "i", "output": "o", "output_original": "x"}]


def test_a_map_to_a_column_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(
        InputError,
        match=r"rows has no column 'anwser', only \['answer', 'question'\]; did you mean 'answer'",
    ):
        mapped([{"question": "q", "answer": "a"}], {"output": "anwser"})


def test_the_body_of_a_question_is_its_input_and_of_anything_else_a_column() -> None:
    row = {"Body": "Dan had $ 3.", "Question": "How much is it?", "Answer": 1.0}
    seeds = from_rows([row])
    told = {"instruction": "How much is it?", "input": "Dan had $ 3.", "output": "1.0"}
    assert content(seeds) == [told]
    assert seeds.origin == {"instruction": "Question", "input": "Body", "output": "Answer"}
    for other in ({"context": "c", "question": "q"}, {"prompt": "q"}, {"title": "t"}):
        assert "body" in from_rows([{"body": "b", **other}]).carried


def test_what_a_map_may_name_is_what_the_file_has() -> None:
    rows = [{"instruction": "q", "output": "a"}]
    with pytest.raises(InputError, match=r"no column 'nope', only .'instruction', 'output'.;"):
        mapped(rows, {"output": "nope"})
    with pytest.raises(InputError, match="'output' cannot be both 'instruction' and 'input'"):
        mapped(rows, {"instruction": "output", "input": "output"})
    swapped = mapped(rows, {"instruction": "output", "output": "instruction"})
    assert content(swapped) == [{"instruction": "a", "output": "q"}]


CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]},
    {"role": "tool", "tool_call_id": "1", "content": "42"},
    {"role": "assistant", "content": "It is 42."},
]


def test_a_conversation_stays_whole_and_first_and_last_turn_are_filled_in() -> None:
    seeds = from_rows([{"messages": CHAT, "n": 1}])
    row = seeds.rows[0]
    assert seeds.shape == "messages"
    assert (row["instruction"], row["output"], row["n"]) == ("Hi", "It is 42.", 1)
    assert [turn["role"] for turn in row["messages"]] == [turn["role"] for turn in CHAT]
    assert json.loads(row["messages"][2]["extra"]) == {"tool_calls": CHAT[2]["tool_calls"]}
    assert seeds.columns["messages"] == CONTENT["messages"]
    pa.array([row["messages"]], CONTENT["messages"])


def test_sharegpt_is_read_with_its_system_column_and_its_own_labels() -> None:
    turns = [{"from": "human", "value": "Hi"}, {"from": "function_call", "value": "{}"}]
    seeds = from_rows([{"conversations": turns, "system": "Be brief."}])
    assert seeds.shape == "sharegpt"
    assert seeds.rows[0]["messages"] == [
        {"role": "system", "content": "Be brief.", "extra": None},
        {"role": "user", "content": "Hi", "extra": None},
        {"role": "assistant", "content": "{}", "extra": '{"from": "function_call"}'},
    ]
    assert "system" not in seeds.rows[0]


def test_content_parts_are_kept_and_their_texts_joined() -> None:
    parts = [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "u"}}]
    row = from_rows([{"messages": [{"role": "user", "content": parts}]}]).rows[0]
    assert row["instruction"] == "Look:"
    assert json.loads(row["messages"][0]["extra"]) == {"content": parts}


def test_conversations_as_json_text_and_split_over_two_columns_are_recognised() -> None:
    as_text = from_rows([{"messages": json.dumps(CHAT)}]).rows[0]
    assert as_text["output"] == "It is 42."
    split = {"prompt": CHAT[:2], "completion": CHAT[4:], "n": 1}
    row = from_rows([split]).rows[0]
    assert [turn["content"] for turn in row["messages"]] == ["Be brief.", "Hi", "It is 42."]
    chosen = {"prompt": "Hi", "chosen": [CHAT[1], CHAT[4]], "rejected": [CHAT[1], CHAT[3]]}
    row = from_rows([chosen]).rows[0]
    assert (row["chosen"], row["rejected"], row["output"]) == ("It is 42.", "42", "It is 42.")
    assert len(row["messages"]) == 2


def test_rows_without_turns_are_malformed_and_counted() -> None:
    seeds = from_rows(
        [{"messages": CHAT}, {"messages": []}, {"messages": [{"role": 3, "content": ""}]}]
    )
    assert len(seeds.rows) == 1
    assert [(m.line, m.reason) for m in seeds.malformed] == [
        (2, "no turns: messages is '[]'"),
        (3, "a turn's role is 3, expected a text such as 'user'"),
    ]


def test_our_own_rows_come_back_as_they_were() -> None:
    first = from_rows([{"messages": CHAT}, {"instruction": "i", "output": "o"}])
    again = from_rows([{"id": "x", "scores": {"s": 1.0}, **row} for row in first.rows])
    assert [row.get("messages") for row in again.rows] == [
        row.get("messages") for row in first.rows
    ]
    assert again.rows[1]["instruction"] == "i"
    assert again.rows[0]["scores_original"] == {"s": 1.0}


def test_nothing_recognised_is_said_and_not_guessed() -> None:
    seeds = from_rows([{"a": 1, "b": "x"}])
    assert seeds.shape == "unknown"
    assert seeds.recognised == "instruction<-(none), output<-(none); carried: a, b"


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            [{"Question": "i", "ctx": "c", "Antwort": "o"}],
            "instruction<-Question, output<-(none); carried: ctx, Antwort",
        ),
        (
            [{"Body": "b", "Question": "i", "Answer": 1.0}],
            "instruction<-Question, input<-Body, output<-Answer; carried: nothing",
        ),
        (
            [{"prompt": "i", "context": "c", "response": ""}],
            "instruction<-prompt, input<-context, output<-response; carried: nothing",
        ),
        (
            [{"conversations": CHAT, "n": 1}],
            "messages<-conversations, instruction<-conversations, output<-conversations; "
            "carried: n",
        ),
        (
            [{"dialog": CHAT[:2]}],
            "messages<-dialog, instruction<-dialog, output<-(none); carried: nothing",
        ),
        ([{"code": "def f(): ...", "name": "f"}], "code; carried: code, name"),
        (
            [{"prompt": "i", **{f"c{i:02}": i for i in range(14)}}],
            f"instruction<-prompt, output<-(none); "
            f"carried: {', '.join(f'c{i:02}' for i in range(12))} +2",
        ),
    ],
)
def test_what_was_taken_for_what_is_said(rows, told) -> None:
    assert from_rows(rows).recognised == told


def test_what_a_map_named_is_said_by_the_users_name() -> None:
    seeds = mapped([{"task": "i", "gold": "o"}], {"instruction": "task", "output": "gold"})
    assert seeds.recognised == "instruction<-task, output<-gold; carried: nothing"


@pytest.mark.parametrize(
    ("core", "columns", "suggested"),
    [
        ("output", {"canonical_solution": "s", "test": "t"}, "canonical_solution"),
        ("output", {"code": "c", "test_setup_code": "t"}, "code"),
        ("output", {"test_setup_code": "t", "code": "c"}, "code"),
        ("output", {"good gpt-answer": "a", "goldAnswer": "b"}, "goldAnswer"),
        ("output", {"Anwser": "a", "n": 1}, "Anwser"),
        ("output", {"Possible Answers": ["a", "b"]}, "Possible Answers"),
        ("output", {"final_answer": 7, "is_answer": True}, "final_answer"),
        ("output", {"ground_truth": "a", "6b_finetuning": "b"}, "ground_truth"),
        ("output", {"code": "c", "reply": "r"}, "reply"),
        ("output", {"reply": [["a", 1], ["b", 2]], "x": 1}, None),
        ("output", {"output_field": "f", "answerable": "a"}, None),
        ("output", {"instruction_type": "t", "special_tag": "s"}, None),
        ("output", {"kwargs": [{"a": 1}, {"b": 2}], "note": "n", "Antwort": "a"}, None),
        ("instruction", {"user_question": "q", "id_code": "c"}, "user_question"),
        ("instruction", {"reply": "r", "code": "c"}, None),
    ],
)
def test_a_map_is_suggested_by_the_name_alone(core, columns, suggested) -> None:
    with pytest.raises(InputError, match=f"judges the {core} of rows") as error:
        require(from_rows([{"key": 1, **columns}]), "quality", [core])
    assert all(name in str(error.value) for name in columns)
    assert str(error.value).endswith(f" --map {core}={suggested or 'YOURS'}")


def test_files_with_other_names_are_told_together() -> None:
    parts = [Part("a"), Part("b")]
    parts[0].add(1, {"prompt": "i"})
    parts[1].add(1, {"question": "i"})
    seeds = from_parts(parts, "", [], SeedSpec(path=["a", "b"]))
    assert seeds.recognised.startswith("instruction<-prompt|question, ")
