"""Every shipped recipe of tool use on its own seeds: the ledger adds up, twice."""

import json
import re

import pytest

NAME = re.compile(r'"name": "(\w+_for_\w+)"')
BEFORE = "Observation:"


def answer(prompt: str, draw: int) -> str:
    """Ask for something, call something and finish; some replies are none."""
    if draw % 7 == 6:
        return "Sorry, I cannot do that."
    if prompt.endswith("### JSON") and "### Number" in prompt:
        names = NAME.findall(prompt)
        some = [
            {"request": f"Please look, number {draw % 89}{one}.", "functions": names[:1]}
            for one in "ab"
        ]
        return json.dumps({"requests": some})
    if prompt.endswith("### Plan"):
        first = next((name for name in LISTS if name in prompt), "nothing")
        return f"1. {first}({{}})\n2. {first}({{}})\n3. join()"
    if "### Calls and results" in prompt:
        return json.dumps({"action": "finish", "answer": f"It is so: {draw % 97}."})
    if prompt.endswith("### Rewrite"):
        return f"A tool that {WORDS[draw % 3]}."
    if "### Examples" in prompt:
        names = NAME.findall(prompt.partition("### Functions")[2])[:2]
        return json.dumps({"instruction": f"Do {draw % 83}.", "functions": names})
    if prompt.startswith("Rewrite an instruction"):
        return json.dumps({"instruction": f"Please do {draw % 97} of them."})
    if prompt.endswith("### JSON"):
        return json.dumps({"reason": "r", "status": "solved", "solvable": True})
    if prompt.startswith(BEFORE):
        arguments = {"return_type": "give_answer", "final_answer": f"It is so: {draw % 97}."}
        return json.dumps({"thought": "", "name": "Finish", "arguments": arguments})
    return json.dumps({"thought": "I look.", "name": LISTS[draw % len(LISTS)], "arguments": {}})


LISTS = ("list_books_for_town_library", "list_pools_for_public_pools",
         "list_bookings_for_regional_trains", "list_warnings_for_plain_weather")  # fmt: skip
WORDS = ("lends a book", "knows the weather of tomorrow", "books a seat on a train")
QUICK = {"tool_llm": [], "llm_compiler": [], "tool_retrieval": ["stages.0.n=4", "seeds.limit=2"]}


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_recipe_runs_on_its_own_seeds_and_its_ledger_adds_up(name, twice) -> None:
    is_pairs = name == "tool_retrieval"
    kept = twice(name, answer, "preference" if is_pairs else "messages", QUICK[name])
    assert kept["chosen" if is_pairs else "output"].null_count == 0
