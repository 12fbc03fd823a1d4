"""Every shipped recipe of verifiable instructions on its own seeds: the ledger adds up, twice."""

import json

import pytest

CHECK = "def evaluate(response):\n    return len(response) {} 40"
CASES = [{"input": "x" * n, "output": n > 40} for n in range(30, 52)]


def answer(prompt: str, draw: int) -> str:
    """Answer whatever the stages ask, right or wrong by the draw; some replies are none."""
    if draw % 7 == 6:
        return "Sorry, I cannot do that."
    if prompt.endswith("### JSON"):
        if "def evaluate" in prompt:
            function = CHECK.format(">" if draw % 5 else "<") + f"  # {draw % 97}"
            return json.dumps({"func": function, "cases": CASES[draw % 20 :][:3]})
        if '"quote"' in prompt:
            said = prompt.rpartition("### Instruction\n")[2].partition("\n")[0]
            return json.dumps({"constraints": [{"constraint": "All of it.", "quote": said}]})
        new = {"kind": "length/words", "params": {"op": "at_most", "n": 90}}
        return json.dumps({"constraints": [new], "instruction": f"Be brief, {draw % 9}: say why."})
    endings = {
        "### Conflict, incomplete or good": "good",
        "### Contradiction, entailment or neutral": "neutral",
        "### Yes or no, and why": "yes, it does",
        "### Yes or no": "yes",
        "### Analysis": "It is about the query.\nScore: 9",
        "### Explanation": f"Hm.\nFinal Judgement:\n{'Yes' if 'Better' in prompt else 'No'}",
        "### New instructions": "- Write in verse.\n- Use no dash.\n- Sing.",
        "between [[start]] and [[end]].": f"[[start]]Better, {draw % 89}.[[end]]",
        "### New instruction": f"[[start]]Say in verse why it rains, {draw % 83}.[[end]]",
    }
    for ending, reply in endings.items():
        if prompt.endswith(ending):
            return reply
    said = f"Because the air is warm and wet and cools then: {draw % 73}."
    if "</think>" in prompt:
        return f"<think>Draw {draw % 79} of many.</think>\n{said} {(72, 360, 40, 54)[draw % 4]}"
    return said


QUICK = {
    "mul_dim_if": ["stages.0.levels=[1]", "stages.3.n=2", "seeds.limit=8"],
    "auto_if": ["stages.4.n=2", "stages.5.n=3"],
    "vif_rag": ["stages.0.n=4", "stages.4.n=1", "stages.4.n_rag=1", "stages.5.n=3"],
    "decrim": [],
    "spar": ["seeds.limit=8"],
    "spar_refiner": ["seeds.limit=4"],
    "reason_if": [],
    "struq": [],
    "robust_if": [],
    "segment_roles": [],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_recipe_runs_on_its_own_seeds_and_its_ledger_adds_up(name, twice) -> None:
    kept = twice(name, answer, "messages", QUICK[name])
    said = ("chosen", "rejected") if kept["chosen"].null_count == 0 else ("output",)
    assert all(kept[column].null_count == 0 for column in said)
