"""Every shipped recipe of tool use on its own seeds: the ledger adds up, twice."""

import json
import re
from collections.abc import Callable

import pyarrow as pa
import pytest

from gristmill import Recipe
from gristmill.filters.where import Where

NAME = re.compile(r'"name": "(\w+_for_\w+)"')


def answer(prompt: str, draw: int) -> str:
    """Ask for something, call something and finish; some replies are none."""
    if draw % 7 == 6:
        return "Sorry, I cannot do that."
    for mark, reply in REPLIES.items():
        if mark in prompt:
            return reply(prompt, draw)
    return json.dumps({"thought": "I look.", "name": LISTS[draw % len(LISTS)], "arguments": {}})


def listed(prompt: str) -> str:
    """Return an operation of the prompt that needs no arguments."""
    return next((name for name in LISTS if f'"{name}"' in prompt), "nothing")


def asked(prompt: str, draw: int) -> str:
    names = NAME.findall(prompt)[:1]
    some = [
        {"request": f"Please look, number {draw % 89}{one}.", "functions": names} for one in "ab"
    ]
    return json.dumps({"requests": some})


def planned(prompt: str, draw: int) -> str:
    return f"1. {listed(prompt)}({{}})\n2. {listed(prompt)}({{}})\n3. join()"


def wrapped(prompt: str, draw: int) -> str:
    code = f'def look():\n    """Look."""\n    return request("{listed(prompt)}", {{}})[1]'
    return f"```python\n{code}\n```\n```python\nlook()\n```"


def finished(prompt: str, draw: int) -> str:
    arguments = {"return_type": "give_answer", "final_answer": f"It is so: {draw % 97}."}
    return json.dumps({"thought": "", "name": "Finish", "arguments": arguments})


def written(prompt: str, draw: int) -> str:
    names = sorted(NAME.findall(prompt.partition("### Functions")[2]))[:2]
    return json.dumps({"instruction": f"Do {draw % 83}.", "functions": names})


def tasks(prompt: str, draw: int) -> str:
    """Plan every request alike: some rows were made for that, others leave."""
    names = sorted(NAME.findall(prompt))[:2]
    return json.dumps({"tasks": [{"task": "Do.", "function": name} for name in names]})


REPLIES: dict[str, Callable[[str, int], str]] = {
    "### Number": asked,
    "### Plan": planned,
    "### Operation": wrapped,
    "### Python": lambda prompt, draw: "```python\nlook()\n```",
    "Observation:": finished,
    "### Rewrite": lambda prompt, draw: f"A tool that {WORDS[draw % 3]}.",
    "Divide a request": tasks,
    "### Examples": written,
    "Rewrite an instruction": lambda prompt, draw: json.dumps(
        {"instruction": f"Please do {draw % 97} of them."}
    ),
    "### Calls and results": lambda prompt, draw: json.dumps(
        {"action": "finish", "answer": f"It is so: {draw % 97}."}
    ),
    "### JSON": lambda prompt, draw: json.dumps(
        {"reason": "r", "status": "solved", "solvable": True}
    ),
}
LISTS = ("list_books_for_town_library", "list_pools_for_public_pools",
         "list_bookings_for_regional_trains", "list_warnings_for_plain_weather")  # fmt: skip
WORDS = ("lends a book", "knows the weather of tomorrow", "books a seat on a train")
QUICK = {
    "tool_llm": [],
    "llm_compiler": [],
    "auto_tools": ["seeds.limit=2"],
    "tptu": ["seeds.limit=2", "stages.0.n=4", "stages.2.k=16"],
    "tool_retrieval": ["stages.0.n=4", "seeds.limit=2"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_recipe_runs_on_its_own_seeds_and_its_ledger_adds_up(name, twice) -> None:
    is_pairs = name == "tool_retrieval"

    def programs(prompt: str, draw: int) -> str:
        is_asked = prompt.startswith("Please look")
        code = f'```python\nprint("FINISH", look(), {len(prompt)})\n```'
        return code if is_asked and name == "auto_tools" else answer(prompt, draw)

    kept = twice(name, programs, "preference" if is_pairs else "messages", QUICK[name])
    assert kept["chosen" if is_pairs else "output"].null_count == 0


@pytest.mark.parametrize("name", ["tool_llm", "llm_compiler"])
def test_no_row_teaches_that_a_request_cannot_be_met(name) -> None:
    wheres = [one["where"] for one in Recipe.load(name).stages if one["use"] == "filters.where"]
    told = {"id": ["a", "b"], "verdicts.tool_eval.status": ["solved", "unsolvable"]}
    (kept,) = (Where(where=where).decide(pa.table(told))["keep"].to_pylist() for where in wheres)
    assert kept == [True, False]
