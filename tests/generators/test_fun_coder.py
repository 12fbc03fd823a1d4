from typing import Any

import pytest

from gristmill.engines.requests import Completion
from gristmill.engines.sandbox import Program
from gristmill.generators.fun_coder import FunCoder
from gristmill.generators.fun_coder_conquer import FunCoderConquer
from gristmill.pipelines import Drop
from gristmill.text.fences import python_code

TASK = '''LIMIT = 10

def total(xs):
    """Return the sum of the squares.

    >>> total([1, 2])
    5
    """
'''
SEED = {"instruction": TASK, "entry_point": "total"}
ROOT = "def total(xs):\n    return sum(square(x) for x in xs)"
LEAF = 'def square(x):\n    """Return x times x."""\n    raise NotImplementedError'
SQUARE = "def square(x):\n    return x * x"


def block(*codes: str) -> str:
    return "```python\n" + "\n\n".join(codes) + "\n```"


def divides(name: str) -> tuple[str, str]:
    return "leave the helper as a stub", f"def {name}("


def inputs(name: str) -> tuple[str, str]:
    return ("### Calls", f"def {name}(")


def conquers(name: str) -> tuple[str, str]:
    return ("### Functions that exist", f"### Function\ndef {name}(")


def divided(ask: Any, script: Any, sandbox: Any) -> dict[str, Any]:
    engine = script({divides("total"): [block(ROOT, LEAF)], divides("square"): [block(SQUARE)]})
    row = ask(FunCoder(), SEED, {"generator": engine, "sandbox": sandbox})
    assert not isinstance(row, Drop), row
    return row


def meta(row: dict[str, Any]) -> dict[str, Any]:
    return {f"meta.fun_coder.{name}": row[name] for name in ("tree", "context", "calls")}


def test_a_function_is_divided_until_nothing_is_open(ask, script, sandbox) -> None:
    row = divided(ask, script, sandbox)
    assert [(node["name"], node["parent"]) for node in row["tree"]] == [
        ("total", ""),
        ("square", "total"),
    ]
    assert row["calls"] == ["total([1, 2])"]
    assert "Return the sum of the squares." in row["tree"][0]["code"]
    code = python_code(row["output"])
    assert code.startswith("LIMIT = 10")
    assert code.index("def square") < code.index("def total")
    (verdict,) = sandbox.run_all([Program(code, "assert total([1, 2, 3]) == 14")])
    assert verdict.status == "pass"


@pytest.mark.parametrize(
    "bad",
    [
        "Sorry, no.",
        block("def total(xs, more): return 1"),
        block("def total(xs): pass"),
        block("def total("),
        "```python\n" + ROOT,
        Completion(block(ROOT), "length", 9, 9),
        " ",
    ],
)
def test_a_reply_that_divides_nothing_is_asked_for_again(ask, script, sandbox, bad) -> None:
    flat = block("def total(xs):\n    return sum(x * x for x in xs)")
    engine = script({divides("total"): [bad, flat]})
    row = ask(FunCoder(retries=1), SEED, {"generator": engine, "sandbox": sandbox})
    assert len(row["tree"]) == 1
    assert engine.calls[0].draw != engine.calls[1].draw
    engine = script({divides("total"): [bad, bad]})
    drop = ask(FunCoder(retries=1), SEED, {"generator": engine, "sandbox": sandbox})
    assert drop.code == "no_division"


def test_a_tree_has_an_end(ask, script, sandbox) -> None:
    engine = script({divides("total"): [block(ROOT, LEAF)]})
    roles = {"generator": engine, "sandbox": sandbox}
    assert ask(FunCoder(retries=0, max_depth=0), SEED, roles).code == "no_division"
    engine = script({divides("total"): [block(ROOT, LEAF)]})
    roles = {"generator": engine, "sandbox": sandbox}
    assert ask(FunCoder(max_functions=1), SEED, roles).code == "too_large"


@pytest.mark.parametrize(
    "text", ["Write a poem.", "def f(", "import os; os._exit(0)", "", "{stub} %s \\"]
)
def test_a_seed_without_a_function_is_text(ask, script, sandbox, text) -> None:
    roles = {"generator": script({}), "sandbox": sandbox}
    assert ask(FunCoder(), {"instruction": text}, roles).code == "no_function"


def test_the_behaviour_that_most_share_is_kept_from_the_leaves_up(ask, script, sandbox) -> None:
    wrong = "def square(x):\n    return x + x"
    crash = "def square(x):\n    return x[0]"
    other = "def square(x):\n    return x ** 2  # as a power"
    engine = script(
        {
            inputs("square"): [block("square(3)\nsquare(0)\nsquare(-4)\nprint(1)")],
            conquers("square"): [block(other), block(wrong), block(crash), "Sorry."],
            inputs("total"): ["No calls."],
            conquers("total"): [block("def total(xs):\n    return 0")] * 2
            + [block("def total(xs, y): return 5"), Completion("", "content_filter", 9, 0)],
        }
    )
    row = divided(ask, script, sandbox)
    row["tree"][1]["code"] = wrong
    found = ask(FunCoderConquer(n=4), meta(row), {"generator": engine, "sandbox": sandbox})
    square, total = found["functions"]
    assert (square["name"], square["n_candidates"]) == ("square", 4)
    assert square["inputs"] == ["square(3)", "square(0)", "square(-4)"]
    # Two say 6, 0, -8, one says 9, 0, 16, one crashes: sums of 4/3, 2/3 and 0.
    assert (square["code"], square["consensus"]) == (wrong, pytest.approx(4 / 3))
    shown = engine.calls[-1].prompt[-1]["content"].partition("### Function\n")
    assert shown[0].endswith(f"LIMIT = 10\n\n\n{wrong}\n\n"), "what is done, and above it all"
    assert shown[2].startswith("def total(xs):")
    assert total["inputs"] == ["total([1, 2])"], "the docstring's"
    assert (total["n_candidates"], total["consensus"]) == (3, 1.0), "two wrong ones outvote"
    assert found["output"].startswith("```python\nLIMIT = 10")


def test_without_inputs_or_agreement_the_divide_pass_stays(ask, script, sandbox) -> None:
    odd = block("import time\ndef square(x):\n    return time.perf_counter_ns()")
    engine = script(
        {
            inputs("square"): [block("square(3)")],
            conquers("square"): [odd],
            inputs("total"): [Completion("total(", "length", 9, 2)],
            conquers("total"): [block("def total(xs):\n    return 1")],
        }
    )
    row = {**divided(ask, script, sandbox), "calls": []}
    found = ask(FunCoderConquer(n=1), meta(row), {"generator": engine, "sandbox": sandbox})
    assert [f["consensus"] for f in found["functions"]] == [None, None]
    assert [f["inputs"] for f in found["functions"]] == [["square(3)"], []]
    assert found["functions"][0]["code"] == row["tree"][1]["code"]
