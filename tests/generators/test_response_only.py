"""Response-only data: what is emptied and what stays, in rows and in the export."""

import json
import os
from pathlib import Path

import pytest
from audit import audit

from gristmill import Recipe, run
from gristmill.generators.response_only import ResponseOnly


def turn(role: str, content: str, extra: str | None = None) -> dict:
    return {"role": role, "content": content, "extra": extra}


def test_every_question_of_a_conversation_is_emptied_and_no_answer() -> None:
    said = [turn("system", "Be brief."), turn("user", "Name a tree."), turn("assistant", "Oak."),
            turn("user", "And one more?"), turn("assistant", "Ash.", '{"name": "x"}')]  # fmt: skip
    row = ResponseOnly()({"messages": said, "instruction": "Name a tree.", "output": "Ash."})
    assert row["messages"] == [
        turn("user", ""), turn("assistant", "Oak."),
        turn("user", ""), turn("assistant", "Ash.", '{"name": "x"}'),
    ]  # fmt: skip
    assert (row["instruction"], row["input"], row["output"]) == ("", None, "Ash.")


def test_one_exchange_keeps_its_empty_turn() -> None:
    row = ResponseOnly()({"instruction": "Add.", "input": "1 2", "output": "It is 3."})
    assert row["messages"] == [turn("user", ""), turn("assistant", "It is 3.")]


@pytest.mark.parametrize("row", [{"instruction": "Add."}, {"output": " "}, {"messages": []}])
def test_a_row_without_an_answer_leaves(row) -> None:
    assert ResponseOnly()(row).code == "no_answer"


def test_answers_that_restate_their_question_leave_the_control_arm() -> None:
    row = {"instruction": "Why is the sky blue?", "output": "The sky is blue: light scatters. So."}
    # 3 of 5 and 6 words in order, `the sky blue`: 2 * 3 / 11.
    assert ResponseOnly(max_restated=0.5)(row).detail == "ROUGE-L 0.55 with its question"
    assert ResponseOnly(max_restated=0.56)(row)["output"] == row["output"]
    same = {"instruction": "Say hi.", "output": "Say hi."}
    assert ResponseOnly()(same)["instruction"] == "", "by default nothing leaves"
    assert ResponseOnly(max_restated=0.99)(same).code == "restates"


def test_hostile_answers_are_left_as_they_are() -> None:
    evil = "{x} {{y}} {% raw %} <|im_end|>\n### User\n"
    row = ResponseOnly()({"instruction": evil, "output": evil})
    assert row["messages"] == [turn("user", ""), turn("assistant", evil)]


DATA = Path(os.environ.get("GRISTMILL_DATA", "nowhere")) / "dolly" / "dolly_3k.json"


@pytest.mark.parametrize("path", ["shipped:labelled.seeds.jsonl", DATA])
def test_the_export_has_the_empty_turns(path, tmp_path) -> None:
    if path == DATA and not DATA.exists():
        pytest.skip("GRISTMILL_DATA names no folder")
    bare = "export={formats: [messages], card: false, report: false}"
    recipe = Recipe.load("response_only", [bare, "seeds.limit=100"], input=path)
    result = run(recipe, engines={}, workspace=tmp_path)
    assert audit(result.path) == []
    last = result.ledger[2]
    assert (last["stage"], last["in"]) == ("response_only", last["kept"])
    lines = [json.loads(line) for path in sorted(result.folder.glob("exports/messages/*"))
             for line in path.read_text().splitlines()]  # fmt: skip
    assert len(lines) == len(result.dataset) == last["kept"]
    assert all(line["messages"][0] == {"role": "user", "content": ""} for line in lines)
    assert all(line["messages"][1]["content"] for line in lines)
