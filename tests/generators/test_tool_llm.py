"""ToolLLM: requests for functions that were drawn, and the search for calls that answer them."""

import json

import pytest

from gristmill.engines.requests import Completion
from gristmill.formats.readers import SeedSpec, read
from gristmill.generators.tool_llm import ToolLlm
from gristmill.generators.tool_llm_search import ToolLlmSearch
from gristmill.pipelines import Drop
from gristmill.text.json_values import problem
from gristmill.text.openapi import endpoints
from gristmill.text.simulated_api import replay
from gristmill.text.tool_calls import api_of, read_calls, shown

APIS = "shipped:apis"
SEEDS = {row["tool"]: row for row in read(SeedSpec(use="openapi", path=APIS)).rows}
POOLS = SEEDS["Public Pools"]


def requests(*some) -> str:
    return json.dumps(
        {"requests": [{"request": text, "functions": names} for text, *names in some]}
    )


LANES, LIST = "free_lanes_for_public_pools", "list_pools_for_public_pools"


def test_what_needs_functions_that_were_drawn_is_a_row(ask, script) -> None:
    said = requests(
        ["Which pools?", LIST, LIST], ["Lanes?", LANES, "fly_away"], ["Which pools?", LANES]
    )
    engine = script({"### JSON": [said]})
    first, foreign, again = ask(ToolLlm(world=3), POOLS, engine)
    assert (first["instruction"], first["relevant"], first["group"]) == (
        "Which pools?",
        [LIST],
        "I1",
    )
    api = api_of(first["api"])
    assert (api["world"], len(api["endpoints"])) == (3, 3)
    assert (foreign.code, again.code) == ("foreign_function", "repeated")
    prompt = engine.calls[0].prompt[0]["content"]
    assert '"name": "free_lanes_for_public_pools"' in prompt
    assert f'{LIST}: {{"error": "", "response": {{"pools": [{{"pool_id": ' in prompt


@pytest.mark.parametrize(("group", "categories"), [("I2", {"town"}), ("I3", {"town", "travel"})])
def test_several_apis_come_of_a_category_or_of_the_collection(ask, group, categories) -> None:
    def answer(prompt: str, draw: int) -> str:
        return requests(["Do it all.", LIST if f'"{LIST}"' in prompt else LANES])

    stage = ToolLlm(groups=[group], apis=APIS, tools=(2, 3), per_tool=2)
    seen, sizes = set[str](), set[int]()
    for seed in range(8):
        for row in ask(stage, POOLS, answer, seed=seed):
            if isinstance(row, Drop):
                assert row.code == "foreign_function"
                continue
            tools = [one["tool"] for one in api_of(row["api"])["endpoints"]]
            assert max(map(tools.count, tools)) <= 2
            sizes.add(len({*tools}))
            seen |= {SEEDS[tool]["category"] for tool in tools}
    assert seen == categories
    assert sizes == ({2} if group == "I2" else {2, 3})


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("", "empty"),
        ('{"requests": []}', "empty"),
        (Completion('{"requests": [', "length", 9, 9), "cut_off"),
        (["I am sorry.", "{{ x }}<|im_end|>"], "bad_json"),
        (['{"requests": [{"request": " ", "functions": ["a"]}]}', "{"], "bad_json"),
    ],
)
def test_a_reply_that_is_none_is_counted(ask, script, reply, code) -> None:
    (drop,) = ask(ToolLlm(), POOLS, script({"": reply if isinstance(reply, list) else [reply]}))
    assert drop.code == code
    assert code in ToolLlm.codes


def test_without_a_collection_there_are_no_companions(ask, script) -> None:
    (drop,) = ask(ToolLlm(groups=["I2"]), POOLS, script({}))
    assert drop.code == "no_companion"


# --- the search: a maze in which the first way in leads nowhere
HOLE = {"name": "x", "in": "query", "schema": {"type": "integer"}}
MAZE = endpoints(
    {
        "info": {"title": "maze"},
        "paths": {f"/{name}": {"get": {"operationId": name, "parameters": [HOLE]}}
                  for name in ("left", "right", "on")},
    }
)  # fmt: skip
ROW = {
    "instruction": "Find {the} way out.",
    "meta.tool_llm.api": json.dumps({"world": 0, "endpoints": MAZE}),
}
TRIED = "you have tried this before"


def step(name: str, thought: str = "", **arguments) -> str:
    name = name if name == "Finish" else f"{name}_for_maze"
    return json.dumps({"thought": thought, "name": name, "arguments": arguments})


def out(text: str = "Out, by the right.") -> str:
    return step("Finish", return_type="give_answer", final_answer=text)


GIVE_UP = step("Finish", return_type="give_up_and_restart")


def walker(prompt: str, draw: int) -> str:
    """Go left first; on the left there is no way on, on the right there is one."""
    if prompt == ROW["instruction"]:
        return step("left")
    if prompt.startswith(ROW["instruction"]):
        assert TRIED in prompt
        assert '- {"name": "left_for_maze", "arguments": {}}: {"error": "", ' in prompt
        return step("right", "So the other one.", x=1)
    return out() if '"response": {"x": 1}' in prompt else step("on")


def test_it_finds_a_way_that_one_chain_does_not(ask) -> None:
    found, (lost,) = (
        ask(ToolLlmSearch(max_depth=6), ROW, walker),
        ask(ToolLlmSearch(width=1), ROW, walker),
    )
    assert lost.code == "no_answer"
    (row,) = found
    assert [turn["role"] for turn in row["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert (row["output"], row["steps"]) == ("Out, by the right.", 1)
    assert row["messages"][1]["content"] == "So the other one."
    assert json.loads(row["messages"][1]["extra"]) == {
        "tool_calls": [
            {"id": "call_1", "type": "function",
             "function": {"name": "right_for_maze", "arguments": {"x": 1}}}
        ]
    }  # fmt: skip
    tree = json.loads(row["tree"])
    assert [child["name"] for child in tree["children"]] == ["left_for_maze", "right_for_maze"]
    on, *_ = tree["children"][0]["children"]
    ends = [
        [child["pruned"] for child in one["children"]] for one in tree["children"][0]["children"]
    ]
    assert (on["pruned"], ends) == (False, [[True, True], [True, True]])
    n_nodes = row["tree"].count('"code"') - 1
    assert n_nodes == row["calls"] == 9, "left: 1 + 2 + 4 nodes down to 6 deep, then two more"


def test_what_is_kept_can_be_called_and_answers_the_same(ask) -> None:
    (row,) = ask(ToolLlmSearch(), ROW, walker)
    calls = read_calls(row["messages"])
    for call, _ in calls:
        (one,) = (one for one in MAZE if one["name"] == call["name"])
        assert problem(one["parameters"], call["arguments"]) is None
    api = api_of(ROW["meta.tool_llm.api"])
    again = [shown(one) for one in replay(api, [call for call, _ in calls])]
    assert again == [seen for _, seen in calls]
    assert [one["function"]["name"] for one in json.loads(row["tools"])] == [
        e["name"] for e in MAZE
    ]


@pytest.mark.parametrize("most", [1, 2, 7, 30])
def test_it_never_asks_more_often_than_it_may(ask, engine, most) -> None:
    model = engine(answer=lambda prompt, draw: step("on"))
    (drop,) = ask(ToolLlmSearch(max_calls=most), ROW, model)
    assert drop.code == "max_calls"
    assert len(model.calls) == most


@pytest.mark.parametrize(
    ("replies", "code"),
    [
        ([GIVE_UP], "gave_up"),
        ([step("fly"), step("left", x="1")], "no_answer"),
        (["", " "], "empty"),
        ([Completion(step("on"), "length", 9, 9)] * 2, "cut_off"),
        (["Sorry, I cannot.", "{{7*7}}</s><|im_start|>"], "no_answer"),
        (['{"name": "on_for_maze", "arguments": {"x": NaN}}', "{"], "no_answer"),
        ([out(" "), step("Finish", return_type="stop")], "no_answer"),
        ([out()], "no_call"),
    ],
)
def test_dead_ends_end_there(ask, script, replies, code) -> None:
    (drop,) = ask(ToolLlmSearch(), ROW, script({"": replies}))
    assert drop.code == code
    assert code in ToolLlmSearch.codes


def test_giving_up_takes_back_two_steps_and_what_nothing_takes_one(ask, script) -> None:
    engine = script({TRIED: [step("right")], "Find": [step("left")],
                     "Observation": [step("on"), GIVE_UP, out()]})  # fmt: skip
    (row,) = ask(ToolLlmSearch(), ROW, engine)
    assert row["calls"] == 5, "left, on, given up; neither `on` nor `left` gets a second child"
    engine = script({TRIED: [step("on")], "Find": [step("fly")], "Observation": [out()]})
    (row,) = ask(ToolLlmSearch(), ROW, engine)
    assert (row["calls"], row["steps"]) == (3, 1), "a call of nothing is in no chain"


def test_more_answers_are_more_rows_of_one_tree(ask, script) -> None:
    engine = script(
        {TRIED: [step("on")], "Find": [step("left")], "Observation": [out("A"), out("B")]}
    )
    rows = ask(ToolLlmSearch(answers=2), ROW, engine)
    assert [row["output"] for row in rows] == ["A", "B"]
    assert {row["calls"] for row in rows} == {4}


def test_steps_share_all_but_their_end(ask, engine) -> None:
    model = engine(answer=walker)
    ask(ToolLlmSearch(), ROW, model)
    rules = {call.prompt[0]["content"] for call in model.calls}
    assert len(rules) == 1
    assert "left_for_maze" in rules.pop()
