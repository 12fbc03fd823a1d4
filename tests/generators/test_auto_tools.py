"""AutoTools: functions that are verified by running, and programs over them, in the sandbox."""

import json

import pytest

from gristmill.engines.sandbox import Verdict
from gristmill.generators.auto_tools import AutoTools
from gristmill.generators.auto_tools_solve import AutoToolsSolve
from gristmill.text.openapi import endpoints
from gristmill.text.simulated_api import Call, replay
from gristmill.text.tool_programs import defined, foreign, skeleton
from gristmill.text.tool_worlds import HIDDEN, INNER, told

ITEM = {"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}
LIST = {"200": {"schema": {"type": "array", "items": ITEM}}}
PATHS = {
    "/pets": {"get": {"operationId": "list", "responses": LIST}},
    "/pets/{id}": {
        "get": {
            "operationId": "show",
            "parameters": [{"name": "id", "in": "path", "type": "integer"}],
            "responses": {"200": {"schema": ITEM}},
        }
    },
}
API = {"world": 0, "endpoints": endpoints({"info": {"title": "t"}, "paths": PATHS})}
PETS = replay(API, [Call(name="list_for_t", arguments={})])[0]["body"]
ROW = {"api": json.dumps(API)}


def blocks(*codes: str) -> str:
    return "Here:\n" + "\n".join(f"```python\n{code}\n```" for code in codes)


LISTS = '''def pets():
    """List {all} pets."""
    status, answer = request("list_for_t", {})
    return answer if status == 200 else f"error {status}"'''
SHOWS = '''def pet(id):
    """Show a pet."""
    return request("show_for_t", {"id": id})[1]'''
WROTE, CALLED = "### Operation", "### Function\n"


def test_a_function_runs_then_is_called_by_its_head_alone(ask, script, sandbox) -> None:
    id_ = PETS[1]["id"]
    engine = script(
        {
            (WROTE, "show_for_t"): [
                "Sorry.",
                blocks(SHOWS, "pet(-1)"),
                blocks(SHOWS, f"pet({id_})"),
            ],
            WROTE: [blocks(LISTS, "pets()")],
            (CALLED, "def pet("): [blocks("pet('x')"), blocks(f"pet(id={id_})")],
            CALLED: [blocks("pets()")],
        }
    )
    row = ask(AutoTools(), ROW, {"generator": engine, "sandbox": sandbox})
    pets, pet = row["functions"]
    assert (pets["operation"], pets["head"], pets["about"]) == (
        "list_for_t",
        "def pets()",
        "List {all} pets.",
    )
    assert json.loads(pets["skeleton"]) == [{"id": "int", "name": "str"}]
    assert (pet["name"], pet["example"]) == ("pet", f"pet(id={id_})")
    assert json.loads(pet["skeleton"]) == {"id": "int", "name": "str"}
    again = engine.calls[4].prompt[0]["content"]
    assert "### What failed before\ndef pet(id):" in again
    assert "pet(-1)\n\n" in again
    assert "was not found" in again.partition("pet(-1)\n\n")[2]
    later = engine.calls[2].prompt[0]["content"]
    assert f'list_for_t: pets() gave [{{"id": {PETS[0]["id"]}' in later


def test_what_is_not_found_is_no_success_whatever_it_returns(ask, script, sandbox) -> None:
    calls = [blocks("pet(-1)")] * 3
    engine = script(
        {
            (WROTE, "list_for_t"): [blocks("def pets():\n    return 1", "pets()")] * 2
            + ["```python\n"],
            WROTE: [blocks(SHOWS, f"pet({PETS[0]['id']})")],
            CALLED: calls,
        }
    )
    drop = ask(AutoTools(), ROW, {"generator": engine, "sandbox": sandbox})
    assert drop.code == "nothing_verified"


FORGED = '''def pets():
    """List pets."""
    calls_.append({"name": "list_for_t", "arguments": {}})
    return "made up"'''


@pytest.mark.parametrize(
    ("function", "call"),
    [
        (FORGED, "pets()"),
        (LISTS, "1)\ncalls_.append({'name': 'list_for_t', 'arguments': {}})\nprint("),
        (LISTS, "[pets(), calls_.pop()]"),
    ],
)
def test_neither_a_function_nor_its_call_says_itself_what_was_called(
    ask, script, sandbox, function, call
) -> None:
    row = {"api": json.dumps({**API, "endpoints": API["endpoints"][:1]})}
    engine = script({WROTE: [blocks(function, call)] * 3})
    drop = ask(AutoTools(), row, {"generator": engine, "sandbox": sandbox})
    assert drop.code == "nothing_verified"


FUNCTIONS = [
    {"name": "pets", "operation": "list_for_t", "head": "def pets()", "about": "List.",
     "source": LISTS, "example": "pets()", "skeleton": "[]"},
    {"name": "fly", "operation": "fly_for_t", "head": "def fly()", "about": "Fly.",
     "source": "def fly(): pass", "example": "fly()", "skeleton": "null"},
]  # fmt: skip
ASKED = {
    "instruction": "How many {pets}?",
    "meta.tool_llm.api": json.dumps(API),
    "meta.auto_tools.functions": FUNCTIONS,
}
FIRST = "found = pets()\nprint(len(found))"
LAST = 'print("FINISH", f"There are {len(found)} pets.")'


def solve(ask, script, sandbox, replies, **changes):
    table = {"How many": replies[:1], "Observation:": replies[1:]}
    engines = {"generator": script(table), "sandbox": sandbox}
    return ask(AutoToolsSolve(steps=3), {**ASKED, **changes}, engines)


def test_programs_are_turns_in_an_interpreter_that_remembers(ask, script, sandbox) -> None:
    row = solve(ask, script, sandbox, ["Hm.", blocks(FIRST), blocks(LAST)])
    assert row["output"] == "There are 3 pets."
    assert (row["calls"], row["turns"]) == (["list_for_t"], 2)
    seen = [turn["content"] for turn in row["messages"] if turn["role"] == "user"][1:]
    assert seen == ["Observation: Write one Python block.", "Observation: 3"]
    assert "def pets():" in row["messages"][0]["content"]
    assert "fly" not in row["messages"][0]["content"], "no operation of the request"


def test_a_program_that_nobody_can_look_at_is_not_run(ask, script) -> None:
    engine = script({"How many": [blocks(FIRST)], "": [Verdict("timeout")]})
    assert ask(AutoToolsSolve(), ASKED, engine).code == "unsteady"


@pytest.mark.parametrize(
    ("replies", "code"),
    [
        (["Sorry.", blocks("1 / 0"), "{{x}}"], "unfinished"),
        ([blocks('print("FINISH")')], "no_call"),
        ([blocks('request("list_for_t", {})')], "machinery"),
        ([blocks('globals()["req" + "uest"]("list_for_t", {})')], "machinery"),
        ([" "], "empty"),
    ],
)
def test_what_does_not_get_there_leaves(ask, script, sandbox, replies, code) -> None:
    drop = solve(ask, script, sandbox, replies)
    assert drop.code == code
    assert code in AutoToolsSolve.codes


def test_without_a_verified_function_nobody_is_asked(ask, script, sandbox) -> None:
    changes = {"meta.auto_tools.functions": FUNCTIONS[1:]}
    assert solve(ask, script, sandbox, [], **changes).code == "no_function"


def test_what_was_called_is_believed_as_far_as_it_succeeds_outside() -> None:
    good = [{"name": "list_for_t", "arguments": {}}]
    assert told(API, "noise\n" + json.dumps([good, 7])) == (good, "7")
    lost = [{"name": "show_for_t", "arguments": {"id": -1}}]
    for text in (
        "",
        "{",
        "[1]",
        json.dumps([lost, 7]),
        json.dumps([[{}], 7]),
        json.dumps([[7], 7]),
    ):
        assert told(API, text) is None


def test_programs_and_answers_are_taken_apart() -> None:
    assert skeleton([{"a": [1, "x"], "b": None, "c": {}}, 3]) == [
        {"a": ["int"], "b": "null", "c": {}}
    ]
    listed = {"name": "pets", "head": "def pets()", "about": "List {all} pets."}
    assert defined(LISTS, "pets()", HIDDEN) == listed
    assert "error" in defined(LISTS, "x = pets()", HIDDEN)
    for wrong in (
        "def f(:",
        "x = 1",
        "def f():\n    return 1",
        'def f():\n    """Do."""',
        "(" * 999,
    ):
        assert "error" in defined(wrong, "f()", HIDDEN)
    assert foreign("x = world_.call(1).__class__\nreplay", INNER) == [
        "__class__",
        "replay",
        "world_",
    ]
    assert foreign("pets(", INNER) == foreign("pets()", INNER) == []
