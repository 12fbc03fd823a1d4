import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gristmill.filters.quality import Quality
from gristmill.pipelines import Drop

GOOD = {"instruction": "Name a tall tree.", "input": "", "output": "The coast redwood."}


def code(row: dict[str, Any], **changes: Any) -> str | None:
    out = Quality(**changes)({**GOOD, **row})  # type: ignore[typeddict-item]
    return out.code if isinstance(out, Drop) else None


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({}, None),
        ({"output": "Oak"}, None),
        ({"input": None}, None),
        ({"instruction": " "}, "empty_instruction"),
        ({"instruction": None, "input": "<noinput>"}, "empty_instruction"),
        ({"output": "\n"}, "empty_output"),
        ({"output": None}, "empty_output"),
        ({"output": "<nooutput>"}, "no_output"),
        ({"output": "I cannot help with that."}, "refusal"),
        ({"output": "A pine.\n7. Instruction: Name a bird."}, "template_leak"),
        ({"output": "a tree and a tree and " * 20}, "loop"),
        ({"output": "name a tall tree"}, "repeats_instruction"),
        ({"instruction": "Oak", "output": "oak"}, None),
        ({"output": "abcdefghij"}, "output_too_long"),
        ({"instruction": "Describe the following photo.", "input": "N/A"}, "missing_input"),
        ({"instruction": "Describe the photo.", "input": "[photo of a tree]"}, "missing_input"),
        ({"instruction": "Describe the following tree.", "input": "A pine."}, None),
        ({"input": "caf\ufffd"}, "not_text"),
        ({"output": "Plant [insert a tree]."}, "placeholder"),
        ({"output": "It is\n```\nOak"}, "truncated"),
        ({"gen": {"finish_reason": "length"}}, "truncated"),
        ({"gen": {"finish_reason": "stop"}}, None),
        ({"instruction": "Sure, a tall tree is the redwood."}, "answered"),
    ],
)
def test_every_fault_has_its_code(row, wanted) -> None:
    limits = {"max_chars": 9} if wanted == "output_too_long" else {}
    assert code(row, **limits) == wanted


def test_a_fault_can_be_none() -> None:
    row = {"output": "I cannot help with that."}
    assert code(row, skip=("refusal",)) is None
    assert code({**row, "input": "\ufffd"}, skip=("refusal",)) == "not_text"


def test_every_answer_of_a_conversation_is_looked_at() -> None:
    def talk(*texts: str) -> dict[str, Any]:
        roles = ("user", "assistant") * 2
        return {"messages": [{"role": r, "content": t} for r, t in zip(roles, texts, strict=False)]}

    assert code(talk("Hi", "Hello.", "Name a tree.", "An oak.")) is None
    assert code(talk("Hi", "I'm sorry, but I can't.", "Name a tree.", "An oak.")) == "refusal"
    assert code(talk("Hi")) == "empty_output"


CALL = json.dumps({"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]})


@pytest.mark.parametrize(
    ("last", "extra", "wanted"),
    [
        ("It is 42.", None, None),
        (None, CALL, None),
        ("", '{"function_call": {"name": "f"}}', None),
        ("", None, "empty_output"),
        (" ", '{"tool_calls": []}', "empty_output"),
    ],
)
def test_a_call_of_a_tool_is_no_empty_answer(last, extra, wanted) -> None:
    turns = [
        {"role": "user", "content": "What is f(1)?", "extra": None},
        {"role": "assistant", "content": None, "extra": CALL},
        {"role": "tool", "content": "42", "extra": '{"tool_call_id": "1"}'},
        {"role": "assistant", "content": last, "extra": extra},
    ]
    assert code({"messages": turns}) == wanted


def test_the_detail_is_the_evidence() -> None:
    out = Quality()({**GOOD, "output": "I cannot help with that."})  # type: ignore[typeddict-item]
    assert out == Drop("refusal", "I cannot help")


DATA = Path(os.environ.get("GRISTMILL_DATA", "nowhere")) / "self_instruct"


@pytest.mark.skipif(not DATA.is_dir(), reason="GRISTMILL_DATA names no folder")
@pytest.mark.parametrize(
    ("file", "fewest", "most"),
    [("predictions_davinci", 240, 252), ("predictions_text-davinci-003", 0, 12)],
)
def test_a_base_model_is_seen_through_and_a_tuned_one_is_not(file, fewest, most) -> None:
    lines = (DATA / f"{file}.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    codes = Counter(
        code({k: row[k] for k in ("instruction", "input")} | {"output": row["response"]})
        for row in rows
    )
    assert fewest <= len(rows) - codes[None] <= most, codes


def test_of_a_pair_the_preferred_answer_is_looked_at() -> None:
    pair = {"output": None, "chosen": "An oak.", "rejected": "a tree and a tree and " * 20}
    assert code(pair) is None
    assert code({**pair, "chosen": pair["rejected"]}) == "loop"
    assert code({**pair, "chosen": "I cannot help with that."}) == "refusal"
    talk = [{"role": "user", "content": "Name a tree."}, {"role": "assistant", "content": "Grass."},
            {"role": "user", "content": "And better?"}]  # fmt: skip
    assert code({**pair, "messages": talk}) is None
    assert code({**pair, "messages": talk, "chosen": pair["rejected"]}) == "loop"
