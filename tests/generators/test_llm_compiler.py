"""LLMCompiler: plans of calls, what of them runs at once, and the joiner."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.engines.requests import Completion
from gristmill.generators.llm_compiler import LlmCompiler
from gristmill.text.call_plans import Progress, Task, levels, read_plan, resolved
from gristmill.text.openapi import endpoints
from gristmill.text.tool_calls import simulated
from gristmill.verifiers.tool_calls import ToolCalls

PAIR = [{"name": name, "in": "query", "schema": {}} for name in ("a", "b")]
API = {
    "world": 0,
    "endpoints": endpoints(
        {
            "info": {"title": "t"},
            "paths": {
                "/pets": {"get": {"operationId": "list"}},
                "/pets/{id}": {"get": {"operationId": "show"}},
                "/say": {"get": {"operationId": "say", "parameters": PAIR}},
            },
        }
    ),
}
ROW = {"instruction": "Compare {two} pets.", "meta.tool_llm.api": json.dumps(API)}
TWO = """Thought: both at once, in 2. steps.
1. list_for_t()
2. say_for_t({"a": "x) 9. y(", "b": [1, {"c": "$$5"}]}) 3. show_for_t({"id": "${1.0.id}"})
4. say_for_t({"a": "$3", "b": "about $3.id and $2.b.0"})
5. join()
6. list_for_t()"""


def test_a_plan_is_read_with_what_its_tasks_need() -> None:
    tasks = read_plan(TWO)
    assert [(task.id, task.call["name"], task.depends_on) for task in tasks] == [
        (1, "list_for_t", []),
        (2, "say_for_t", []),
        (3, "show_for_t", [1]),
        (4, "say_for_t", [2, 3]),
    ]
    assert tasks[1].call["arguments"] == {"a": "x) 9. y(", "b": [1, {"c": "$$5"}]}
    assert [[task.id for task in level] for level in levels(tasks)] == [[1, 2], [3], [4]]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "it does not end with join()"),
        ("1. a()", "it does not end with join()"),
        ("1. join()", "a plan without a task"),
        ("2. a()\n3. join()", "task 2 comes where 1 is next"),
        ("1. a({)", "the arguments of task 1 are no JSON"),
        ('1. a({"b": ' + "[" * 600 + "]" * 600 + "})", "the arguments of task 1 are nested too"),
        ("1. a({'b': 1})\n2. join()", "the arguments of task 1 are no JSON"),
        ('1. a({"b": NaN})\n2. join()', "the arguments of task 1 are no JSON"),
        ("1. a([1])\n2. join()", "task 1 has something else than one object"),
        ("1. a({} {})\n2. join()", "task 1 has something else than one object"),
        ('1. a({"b": "$1"})\n2. join()', "task 1 refers to 1, which is not before it"),
        ('1. a({"b": "$2"})\n2. a()\n3. join()', "task 1 refers to 2, which is not before it"),
        ('1. a({"b": "$0"})\n2. join()', "task 1 refers to 0, which is not before it"),
        ("1. a(" + "[" * 5000, "the arguments of task 1 are no JSON"),
        ("1. " * 5000 + "(((", "it does not end with join()"),
    ],
)
def test_what_is_no_plan_is_said(text, wrong) -> None:
    assert read_plan(text).startswith(wrong)


def test_references_become_results_of_their_own_type() -> None:
    results = {1: [{"id": 7, "to": None}], 2: "b"}
    told = {"whole": "$1.0.id", "list": ["$1", "$2 ${1.0.id}, $$2", "${2}", 3], "none": "$1.0.to"}
    assert resolved(told, results) == {
        "whole": 7,
        "list": [[{"id": 7, "to": None}], "b 7, $2", "b", 3],
        "none": None,
    }
    for lost in ("$3", "$1.1.id", "$1.id", "$2.x", "and $1.0.x"):
        with pytest.raises(LookupError):
            resolved(lost, results)


BELOW = [st.just(set())] + [st.sets(st.integers(1, k), max_size=3) for k in range(1, 7)]


@settings(max_examples=12)
@given(st.tuples(*BELOW), st.randoms())
def test_any_order_that_keeps_what_is_needed_gives_the_same(graph, rng) -> None:
    tasks = []
    for k, needed in enumerate(graph, 1):
        arguments = {"a": k, "b": [f"${d}.a" for d in sorted(needed)]}
        tasks.append(Task(k, {"name": "say_for_t", "arguments": arguments}))
    found = levels(tasks)
    place = {task.id: n for n, level in enumerate(found) for task in level}
    assert all(place[k] < place[task.id] for task in tasks for k in task.depends_on)
    assert len(found) <= len(tasks)
    ready, order = list(tasks), list[Task]()
    while ready:
        free = [t for t in ready if {*t.depends_on} <= {one.id for one in order}]
        order.append(rng.choice(free))
        ready.remove(order[-1])
    straight, other = Progress(simulated(API)), Progress(simulated(API))

    async def both() -> None:
        await straight.run(tasks)
        for task in order:
            await other.run([task])

    asyncio.run(both())
    assert straight.results == other.results


def joined(action: str, answer: str = "") -> str:
    return json.dumps({"thought": "", "action": action, "answer": answer})


def test_what_needs_nothing_of_each_other_is_called_at_once(ask, script) -> None:
    row = ask(
        LlmCompiler(), ROW, script({"### Plan": [TWO], "### JSON": [joined("finish", "So.")]})
    )
    turns = row["messages"]
    assert [turn["role"] for turn in turns] == [
        "user", "assistant", "tool", "tool", "assistant", "tool", "assistant", "tool", "assistant",
    ]  # fmt: skip
    first = json.loads(turns[1]["extra"])["tool_calls"]
    assert [one["id"] for one in first] == ["call_1", "call_2"]
    assert first[1]["function"]["arguments"]["b"] == [1, {"c": "$5"}]
    assert (row["output"], row["depth"], row["replans"]) == ("So.", 3, 0)
    assert row["plan"][3] == {
        "id": 4, "name": "say_for_t", "depends_on": [2, 3],
        "arguments": '{"a": "$3", "b": "about $3.id and $2.b.0"}',
    }  # fmt: skip
    assert ask(ToolCalls(), {**ROW, **row}, {})["passed"] is True


def test_a_second_plan_goes_on_where_the_first_ended(ask, script) -> None:
    lost = '1. show_for_t({"id": "nobody"})\n2. say_for_t({"a": "$1.id"})\n3. join()'
    more = '3. list_for_t()\n4. show_for_t({"id": "$3.0.id"})\n5. join()'
    engine = script(
        {
            ("### Plan", "go on with task 3"): [more],
            "### Plan": [lost],
            "### JSON": [joined("replan"), joined("finish", "Found.")],
        }
    )
    row = ask(LlmCompiler(), ROW, engine)
    assert (row["replans"], row["depth"], len(row["plan"])) == (1, 3, 4)
    told = engine.calls[2].prompt[0]["content"]
    assert '1. show_for_t({"id": "nobody"}): {"error": "/pets/nobody was not found"' in told
    assert "2. say_for_t: not called: 1" in told
    assert ask(ToolCalls(), {**ROW, **row}, {})["passed"] is True


@pytest.mark.parametrize(
    ("plan", "join", "code"),
    [
        (["Sorry, I cannot."], [], "bad_plan"),
        (["1. steal_for_t()\n2. join()"], [], "bad_plan"),
        ([""], [], "empty"),
        ([Completion("1. list_for_t()", "length", 9, 9)], [], "cut_off"),
        (["1. list_for_t()\n2. join()"], ["{{ x }}", "</s>{"], "bad_json"),
        (["1. list_for_t()\n2. join()"], [joined("finish", " ")], "not_finished"),
        (["1. list_for_t()\n2. join()"], [joined("replan")], "not_finished"),
    ],
)
def test_what_has_no_end_leaves(ask, script, plan, join, code) -> None:
    table = {"### Plan": plan, "### JSON": join[:1], "": join[1:]}
    drop = ask(LlmCompiler(max_replans=0), ROW, script(table))
    assert drop.code == code
    assert code in LlmCompiler.codes
