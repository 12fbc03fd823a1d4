"""ReSocratic: demonstrations first, a solver on every problem they hold, questions told back."""

import pytest

from gristmill.engines.requests import Completion
from gristmill.generators.re_socratic import ReSocratic, _pool
from gristmill.generators.re_socratic_questions import ReSocraticQuestions
from gristmill.generators.re_socratic_solve import ReSocraticSolve
from gristmill.pipelines import Drop
from gristmill.text.demonstrations import has_table, same_objective, same_results, sections

SCENE = """## Variables
A shop makes chairs and tables.
// x: chairs, from 0
// y: tables, from 0

## Objective
A chair earns $3, a table $5; earn as much as possible.
// maximize 3 * x + 5 * y"""
FIRST = "\n\n## Constraint 1\nThere are 10 boards, one for each.\n// x + y <= 10"
SECOND = "\n\n## Constraint 2\nAt most 4 tables can be sold.\n// y <= 4"
BROKEN = "\n\n## Constraint 3\n// x >= 1"
GOOD = SCENE + FIRST + SECOND
SIMPLEX = """from scipy.optimize import linprog

def solve():
    found = linprog([-3, -5], A_ub={rows}, b_ub={most})
    return {{"objective": -found.fun, "x": found.x[0], "y": found.x[1]}}"""
ONE = SIMPLEX.format(rows="[[1, 1]]", most="[10]")
TWO = SIMPLEX.format(rows="[[1, 1], [0, 1]]", most="[10, 4]")
SOLVED = "from scipy.optimize import linprog\nlinprog([1])\n"
"""What comes before programs that fail for another reason."""
UNBOUNDED = SIMPLEX.format(rows="[[-1, 0]]", most="[0]")
INFEASIBLE = SIMPLEX.format(rows="[[1, 1], [-1, -1]]", most="[1, -2]")
TABLE = (
    "A shop earns:\n\n| piece | $ |\n|---|--:|\n| chair | 3 |\n| table | 5 |\n\nHow many of each?"
)
PLAIN = "A shop has 10 boards and sells 4 tables at most. How many chairs and tables earn most?"


def block(code: str) -> str:
    return f"Here:\n```python\n{code}\n```\n"


def invent(ask, script, replies, **changes):
    engine = script({"Invent one optimization": replies})
    stage = ReSocratic(**{"singles": len(replies), "pairs": 0, **changes})
    return ask(stage, {"demonstration": _pool()[0]}, engine), engine.calls


def test_a_problem_is_cut_at_its_first_section_that_is_none(ask, script) -> None:
    (row, short), calls = invent(ask, script, [f"Sure!\n{GOOD}{BROKEN}", SCENE])
    assert row["demonstration"] == GOOD, "two valid constraints, and a third without words"
    assert row["n_constraints"] == 2
    assert row["instruction"].split("\n")[1] == (
        "A chair earns $3, a table $5; earn as much as possible."
    )
    assert short.code == "no_constraint"
    assert calls[0].prompt[0]["content"].endswith(_pool()[0])
    assert (calls[0].sampling.temperature, calls[0].sampling.max_tokens) == (0.7, 2000)


def test_spaces_behind_a_heading_are_read_once() -> None:
    assert sections("## Variables" + " " * 300_000 + "x") == []


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (" ", "empty"),
        ("I cannot help with that.", "no_constraint"),
        (GOOD.replace("## Constraint 1", "## Constraint 2"), "no_constraint"),
        (GOOD.replace("## Objective", "## Goal"), "no_constraint"),
        (GOOD.replace("// maximize 3", "maximize 3"), "no_constraint"),
        (Completion(GOOD, "length", 9, 9), "cut_off"),
    ],
)
def test_a_reply_that_is_no_problem_leaves(ask, script, reply, code) -> None:
    (drop,), _ = invent(ask, script, [reply])
    assert drop.code == code
    assert code in ReSocratic.codes


def test_every_single_and_every_pair_of_the_pool_is_shown_as_often_as_asked(ask, script) -> None:
    pool, seen = _pool(), []
    for own in pool:
        rows = ask(ReSocratic(singles=3, pairs=2), {"demonstration": own}, lambda *_: GOOD)
        seen.append(len(rows))
    assert seen == [3 + 2 * 3, 3 + 2 * 2, 3 + 2, 3]
    assert all(len(sections(text)) >= 4 for text in pool), "each is a demonstration itself"
    drop = ask(ReSocratic(), {"demonstration": "x"}, script({}))
    assert drop.code == "no_demonstration"


def solve(ask, script, sandbox, replies, demonstration=GOOD, **changes):
    engine = script({"### Python": replies})
    row = {"meta.re_socratic.demonstration": demonstration}
    return ask(ReSocraticSolve(**changes), row, {"generator": engine, "sandbox": sandbox})


def test_each_further_constraint_makes_another_problem(ask, script, sandbox) -> None:
    first, second = solve(ask, script, sandbox, [block(ONE), block(TWO)])
    assert (first["n_constraints"], second["n_constraints"]) == (1, 2)
    assert (first["objective"], second["objective"]) == (50.0, 38.0)
    assert (second["names"], second["values"]) == (["objective", "x", "y"], [38.0, 6.0, 4.0])
    assert (first["demonstration"], second["demonstration"]) == (SCENE + FIRST, GOOD)
    assert second["tests"].startswith("assert abs(solve()['objective'] - 38.0) <= 0.0038")


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (block(UNBOUNDED), "not_solved"),
        (block(INFEASIBLE), "not_solved"),
        (block("def solve():\n    return {'objective': 50.0, 'x': 0.0, 'y': 10.0}"), "not_solved"),
        (block(SOLVED + "def solve():\n    return {'objective': 1.0}"), "not_solved"),
        (
            block(SOLVED + "def solve():\n    return {'objective': float('inf'), 'x': 1.0}"),
            "not_solved",
        ),
        (block("def solve():\n    while True: pass"), "not_solved"),
        (block("import sys\nsys.exit(0)"), "not_solved"),
        (block("import pyscipopt\ndef solve(): pass"), "missing_package"),
        (
            block(
                f"{SOLVED}import random\ndef solve():\n    found = random.SystemRandom().random()\n"
                "    return {'objective': found, 'x': 1.0}"
            ),
            "unsteady",
        ),
        ("The best is 38.", "no_code"),
        (block(TWO)[:-5], "no_code"),
        (Completion(block(TWO), "length", 9, 9), "cut_off"),
    ],
)
def test_what_no_solver_calls_a_success_leaves(ask, script, sandbox, reply, code) -> None:
    timeout_s = 0.3 if "while True" in str(reply) else 10
    (drop,) = solve(ask, script, sandbox, [reply], SCENE + FIRST, timeout_s=timeout_s)
    assert isinstance(drop, Drop)
    assert drop.code == code
    assert code in ReSocraticSolve.codes


def ask_back(ask, script, sandbox, table, plain, again):
    row = {
        "output": block(TWO),
        "meta.re_socratic_solve.demonstration": GOOD,
        "meta.re_socratic_solve.objective": 38.0,
        "meta.re_socratic_solve.tests": "assert abs(solve()['objective'] - 38.0) <= 0.0038",
    }
    engine = script({"into one Markdown": [table], "plain sentences": [plain], "### Python": again})
    return ask(ReSocraticQuestions(), row, {"generator": engine, "sandbox": sandbox})


def test_both_questions_share_the_program_and_lead_back_to_it(ask, script, sandbox) -> None:
    rows = ask_back(ask, script, sandbox, TABLE, PLAIN, [block(TWO)] * 2)
    assert [row["question_style"] for row in rows] == ["table", "plain"]
    assert [row["instruction"] for row in rows] == [TABLE, PLAIN]
    assert {row["output"] for row in rows} == {block(TWO)}


def test_a_question_that_lost_a_constraint_leaves(ask, script, sandbox) -> None:
    lost, none = ask_back(ask, script, sandbox, TABLE, PLAIN, [block(ONE), "Sorry."])
    assert (lost.code, none.code) == ("not_the_same", "not_the_same")
    assert lost.detail.startswith("38.0 by the demonstration, 50.0 by the question")


def test_a_question_in_another_style_is_not_solved(ask, script, sandbox) -> None:
    rows = ask_back(ask, script, sandbox, PLAIN, f"{PLAIN}\n// y <= 4", [])
    assert [row.code for row in rows] == ["not_a_question"] * 2


def test_tables_results_and_objectives() -> None:
    assert has_table(TABLE)
    assert not has_table(PLAIN + "\n\n---\n| a |")
    assert same_results({"x": 1.0}, {"x": 1.00009})
    assert not same_results({"x": 1.0}, {"x": 1.00011})
    assert not same_results({"x": 1.0}, {"y": 1.0})
    assert same_objective(1e6, 1e6 + 99)
    assert not same_objective(1e6, 1e6 + 101)
