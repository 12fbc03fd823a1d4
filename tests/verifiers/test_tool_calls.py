"""Calls made again: names, arguments and answers; and ToolEval's table of verdicts."""

import asyncio
import json
import math
from itertools import pairwise

import pyarrow as pa
import pytest

from gristmill.engines.client import Client
from gristmill.pipelines import Context
from gristmill.scorers.tool_win import ToolWin, standing
from gristmill.storage.answers import Answers
from gristmill.text.openapi import endpoints
from gristmill.text.simulated_api import Api, replay
from gristmill.text.tool_calls import answering, calling, said, shown
from gristmill.verifiers.tool_calls import ToolCalls
from gristmill.verifiers.tool_eval import ToolEval, decided

PATHS = {
    "/pets": {
        "get": {"operationId": "list"},
        "post": {"operationId": "add", "parameters": [
            {"name": "name", "in": "formData", "type": "string", "required": True}]},
    },
    "/pets/{id}": {"delete": {"operationId": "drop"}},
}  # fmt: skip
API = Api(world=0, endpoints=endpoints({"info": {"title": "t"}, "paths": PATHS}))
REX, LOST = ("add_for_t", {"name": "Rex"}), ("drop_for_t", {"id": "no"})


def conversation(*calls, output="Done.", seen=None, instruction="Add {Rex}."):
    made = [{"name": name, "arguments": arguments} for name, arguments in calls]
    turns = [said("user", instruction)]
    for i, (call, result) in enumerate(zip(made, replay(API, made), strict=True)):
        turns.append(calling([call], [f"c{i}"]))
        turns.append(answering(f"c{i}", call["name"], shown(result) if seen is None else seen))
    return {
        "instruction": instruction,
        "messages": [*turns, said("assistant", output)],
        "output": output,
        "meta.tool_llm.api": json.dumps(API),
    }


@pytest.mark.parametrize(
    ("row", "status", "n", "failed"),
    [
        (conversation(REX, ("list_for_t", {}), LOST), "pass", 3, 1),
        (conversation(("steal_for_t", {})), "unknown_function", 1, 1),
        (conversation(("add_for_t", {"name": 7})), "bad_arguments", 1, 1),
        (conversation(REX, seen="{}"), "other_answer", 1, 0),
        (conversation(REX, output=" "), "no_answer", 1, 0),
        (conversation(), "no_call", 0, 0),
    ],
)
def test_calls_are_made_again(ask, row, status, n, failed) -> None:
    found = ask(ToolCalls(), row, {})
    assert (found["status"], found["n"], found["failed"]) == (status, n, failed)
    assert found["passed"] is (status == "pass")


def test_what_an_earlier_call_did_is_there_again(ask) -> None:
    row = conversation(("list_for_t", {}), REX, ("list_for_t", {}))
    before, after = row["messages"][2], row["messages"][6]
    before["content"], after["content"] = after["content"], before["content"]
    assert ask(ToolCalls(), row, {})["status"] == "other_answer"


@pytest.mark.parametrize(
    "extra",
    [
        {"tool_calls": [{"id": "c0", "function": {"name": "add_for_t", "arguments": "{"}}]},
        {"tool_calls": [{"function": None}]},
        {"tool_calls": [1]},
        {"tool_calls": [{"id": "c0", "function": {"name": 3, "arguments": {}}}]},
    ],
)
def test_calls_that_are_none_are_of_no_function(ask, extra) -> None:
    row = conversation(REX)
    row["messages"][1]["extra"] = json.dumps(extra)
    assert ask(ToolCalls(), row, {})["status"] == "unknown_function"


@pytest.mark.parametrize("extra", ["{", "[]", '{"tool_calls": 3}', "[" * 9000])
def test_a_turn_with_something_else_calls_nothing(ask, extra) -> None:
    row = conversation(REX)
    row["messages"][1]["extra"] = extra
    assert ask(ToolCalls(), row, {})["status"] == "no_call"


def test_arguments_as_json_text_are_read(ask) -> None:
    row = conversation(REX)
    row["messages"][1]["extra"] = row["messages"][1]["extra"].replace(
        '{"name": "Rex"}', json.dumps('{"name": "Rex"}')
    )
    assert ask(ToolCalls(), row, {})["passed"] is True


# --- ToolEval
def status(text: str) -> str:
    return json.dumps({"reason": "r", "status": text})


def solvable(can: bool) -> str:
    return json.dumps({"reason": "r", "solvable": can})


ANSWER, TRACE, TASK = "Judge whether an answer", "### What was called", "Judge whether a request"


@pytest.mark.parametrize(
    ("table", "vote"),
    [
        ({ANSWER: [status("solved")]}, "solved"),
        ({TRACE: [status("solved")], ANSWER: [status("unsure")]}, "solved"),
        ({TASK: [solvable(True)], ANSWER: [status("unsolved")]}, "unsolved"),
        ({TASK: [solvable(False)], ANSWER: [status("unsolved")]}, "unsolvable"),
        ({TASK: [solvable(True)], TRACE: [status("unsure")], ANSWER: [status("unsure")]}, "unsure"),
        (
            {TASK: [solvable(False)], TRACE: [status("unsure")], ANSWER: [status("unsure")]},
            "unsolvable",
        ),
    ],
)  # fmt: skip
def test_one_evaluation_follows_the_table(ask, script, table, vote) -> None:
    found = ask(ToolEval(votes=1), conversation(REX), script(table))
    assert found["votes"] == [vote]
    wanted = {"solved": True, "unsolvable": True, "unsolved": False, "unsure": None}[vote]
    assert (found["passed"], found["status"]) == (wanted, vote)


@pytest.mark.parametrize(
    ("votes", "passed", "status", "rate"),
    [
        (["solved", "solved", "unsolved", "unsure"], True, "solved", 2 / 3),
        (["solved", "unsolvable", "unsolvable", "unsolved"], True, "unsolvable", 0.75),
        (["solved", "unsolved"], None, "tie", 0.5),
        (["solved", "unsolved", "unsolved"], False, "unsolved", 1 / 3),
        (["unsure"], None, "unsure", None),
        ([], None, "unparsed_judge", None),
    ],
)
def test_the_majority_decides_and_a_tie_passes_nobody(votes, passed, status, rate) -> None:
    found = decided(votes)
    assert (found["passed"], found["status"], found["pass_rate"]) == (passed, status, rate)


@pytest.mark.parametrize(("output", "status"), [(" ", "no_answer"), ("Sorry, no.", "apology")])
def test_what_answers_nothing_fails_unasked(ask, script, output, status) -> None:
    found = ask(ToolEval(), conversation(REX, output=output), script({}))
    assert (found["passed"], found["status"]) == (False, status)


def test_a_judge_that_cannot_be_read_gives_no_verdict(ask, script) -> None:
    found = ask(
        ToolEval(votes=2), conversation(REX), script({"": ["maybe", "", "{}", "solved"][:3]})
    )
    assert (found["passed"], found["status"]) == (None, "unparsed_judge")


def trace(*calls, passed=True, output="Done."):
    return {**conversation(*calls, output=output), "verdicts.tool_eval.passed": passed}


def test_what_conversations_are_compared_by() -> None:
    two = trace(REX, LOST, ("list_for_t", {}), passed=False)
    assert standing(two)[:2] == (True, False)
    assert standing(two)[2] == pytest.approx(10 * 2 + 5 * 1 - 5 * math.log(3))
    order = [
        trace(REX, output=""),
        trace(LOST, passed=False),
        trace(REX, passed=False),
        trace(REX, REX),
        trace(REX),
    ]
    assert all(standing(worse) < standing(better) for worse, better in pairwise(order))


def compared(rows, engine, tmp_path) -> dict:
    table = pa.table(
        {"id": [*"0123"[: len(rows)]], **{k: [row[k] for row in rows] for k in rows[0]}}
    )
    answers = Answers(tmp_path / "answers")
    context = Context({"judge": Client(engine, answers)}, 0, "label", "id")
    found = asyncio.run(ToolWin().decide(table, context)).to_pydict()
    answers.close()
    return found


def test_only_what_is_equal_is_shown_to_a_judge(script, tmp_path) -> None:
    rows = [trace(REX, output="A"), trace(REX, output="B"), trace(REX, REX), trace(LOST, output="")]
    engine = script({("### Second", "Answer: A\n\n### Second"): ["first"], "": ["second"]})
    found = compared(rows, engine, tmp_path)
    assert found["win_rate"] == [1.0, pytest.approx(2 / 3), pytest.approx(1 / 3), 0.0]
    assert found["by_judge"] == [1, 1, 0, 0]


def test_what_has_no_verdict_is_not_taken_for_unsolved(script, tmp_path) -> None:
    rows = [trace(REX, passed=None, output="A"), trace(REX, output="B"), trace(REX, output="")]
    engine = script({("### Second", "Answer: A\n\n### Second"): ["first"], "": ["second"]})
    found = compared(rows, engine, tmp_path)
    assert (found["win_rate"], found["by_judge"]) == ([1.0, 0.5, 0.0], [1, 1, 0])
