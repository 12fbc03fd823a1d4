"""Every shipped recipe of code and mathematics on its own seeds: the ledger adds up, twice."""

import re

import pytest


def block(code: str) -> str:
    return f"```python\n{code}\n```"


SOLVE = """from scipy.optimize import linprog


def solve():
    found = linprog([2], bounds=[(1, None)])
    return {"objective": found.fun, "x": found.x[0]}"""


def optimization(prompt: str, draw: int) -> str:
    """Answer what ReSocratic asks."""
    if prompt.startswith("Invent one optimization problem"):
        shown = prompt.rpartition("## Variables")[2].partition("## Constraint 2")[0]
        return f"## Variables{shown}".replace("1", str(draw % 3))
    if prompt.endswith("### Question"):
        return "| a |\n|---|" if "Markdown table" in prompt else "How much is it?"
    return block(SOLVE)


FEATURES = """<features>{"workflow": ["read", "check"], "algorithm": ["sort"]}</features>"""
GROWN = """<features>{"workflow": ["log"], "algorithm": ["search"]}</features>"""
FILES = """### solution.py
```python
def half(n):
    return n // 2
```

### test_solution.py
```python
from solution import half

assert half(4) == 2
```"""


def features(prompt: str, draw: int) -> str:
    """Answer what EpiCoder asks for a task."""
    chosen = prompt.partition("### Mandatory features\n")[2].partition("\n")[0]
    said = f"<scenario>A shop.</scenario><task>Halve.</task><instruction>{draw}</instruction>"
    return f"<features>{chosen}</features>{said}"


def judged(prompt: str, draw: int) -> str:
    """Answer what WaveCoder asks."""
    if prompt.endswith("### Checks\n"):
        holds = "no" if "Odd" in prompt.rpartition("### Task")[2] else "yes"
        checks = "\n".join(f"{i}. <answer: {holds}, so>" for i in range(5))
        return f"{checks}\n- overall answer: {holds}\n- reasons: so"
    name = "Odd" if draw % 3 == 0 else "Even"
    return (
        f"task_name: {name}\ninstruction: Write Python {draw}.\ninformation: none\n"
        f"solution:\n{block(FIBONACCI)}"
    )


def acts(prompt: str, _: int) -> str:
    """Answer what InterCode's environment says."""
    is_met = prompt.startswith("Observation: 2\n")
    return "<submit>" if is_met else "<execute>cat logs/*.log | grep -c ERROR</execute>"


def steps(prompt: str, _: int) -> str:
    """Carry out a step of L2MAC."""
    return "DONE: it halves." if "pass: all tests pass" in prompt else FILES


CALLS_LIBRARY = """```python
from statistics import multimode


def most(data):
    return multimode(data)
```
```python
assert most([1, 2, 2]) == [2]
assert most([]) == []
```"""
GCD = "import math\n\na, b = map(int, input().split())\nprint(math.gcd(a, b))"


FIBONACCI = """def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a"""


FIXED = {
    "### Calls": block("merge_intervals([(1, 2)])\ncaesar('a', 1)\nlongest_plateau([1])"),
    "### Cheaper program": block(FIBONACCI),
    "### Features": FEATURES,
    "### Request": "Please write this in Python.",
    "### Translation": block(GCD),
    "### Task": "Write most(data).",
    "### Solution": CALLS_LIBRARY,
    "### Grown part": GROWN,
    "### Analysis": "Halve it.",
    "### Plan": "1. Find the parts.\n2. Put them together.",
}
"""Answers by the end of the prompt."""


SERVED = {
    "lines in all files below logs": acts,
    "Observation: ": acts,
    "You carry out one step of a plan": steps,
    "optimization problem": optimization,
    "### Mandatory features": features,
    "task for programmers": judged,
    "Now write the solution in Python files": lambda *_: FILES,
}
"""Answers by a part of the prompt."""


def answer(prompt: str, draw: int) -> str:
    """Answer whatever the stages ask, right or wrong by the draw; some replies are none."""
    if draw % 7 == 6:
        return "Sorry, I cannot do that."
    for part, serve in SERVED.items():
        if part in prompt:
            return serve(prompt, draw)
    if prompt.endswith("### With slots"):
        question = prompt.rpartition("### Problem\n")[2].partition("\n\n### With")[0]
        names = iter("abcdefgh")
        return re.sub(r"\d+", lambda _: f"[[{next(names)}]]", question)
    if prompt.endswith("### Function"):  # right for the first problem: 24 rolls at 2 dollars
        return block("def solve(a, b):\n    return (a + a / 2) * b")
    if prompt.endswith("### Python"):
        stub = prompt.rpartition("### Function\n")[2].partition("\n\n### Python")[0]
        body = f"return [{draw % 2}]"
        return block(
            stub.replace("raise NotImplementedError", body).replace("...", body) + "\n    " + body
        )
    if fixed := next((FIXED[end] for end in FIXED if prompt.endswith(end)), None):
        return fixed
    if prompt.endswith("### Full solution"):
        human = prompt.partition("### Solution of a person\n")[2].partition("\n\n### Task")[0]
        return f"First the parts, then the whole.\n{human}"
    if prompt.endswith("### Steps\n"):
        found = (72, 360, 40, 54)[draw % 4]
        return f"Thought: It is {found}.\nFinal answer: {found}"
    return "Thought: Nothing.\nFinal answer: 0"


QUICK = {
    "infinity_math": [],
    "fun_coder": ["stages.1.n=3"],
    "effi_code": ["stages.0.runs=1", "stages.0.rounds=2", "stages.0.min_ms=150"],
    "enriched_math": [],
    "re_socratic": ["stages.0.singles=2", "stages.0.pairs=1"],
    "mario": ["stages.0.profile=bare"],
    "epi_coder": ["seeds.limit=2", "seeds.path=package:statistics", "stages.3.n=1"],
    "inter_code": ["seeds.limit=1", "stages.0.turns=2"],
    "guaranteed_guess": ["seeds.limit=1", "stages.0.beams=2"],
    "stelo": ["seeds.limit=2"],
    "l2mac": ["seeds.limit=1"],
    "private_library": ["seeds.limit=1"],
    "wave_coder": ["seeds.path=package:statistics", "stages.2.k=6"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_recipe_runs_on_its_own_seeds_and_its_ledger_adds_up(name, twice) -> None:
    twice(name, answer, "alpaca", QUICK[name])
