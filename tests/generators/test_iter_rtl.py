"""ITERTL: candidates beside the reference, their scores, and the ranking loss by hand."""

import json
import math
import re

import pytest

from gristmill.engines.requests import Completion
from gristmill.engines.sandbox import Verdict
from gristmill.engines.sandbox.profiles import find_profile
from gristmill.formats.recipe_files import shipped
from gristmill.generators.iter_rtl import IterRtl
from gristmill.geometry.ranking_loss import ranking_loss, shares
from gristmill.scorers.iter_rtl import IterRtl as Loss
from gristmill.text.fences import code_in

LOG_PROBS, SCORES = [-1.0, -0.5, -0.4, -0.8], [0.1, 0.3, 0.9, 1.0]
REFERENCE = "def half(n):\n    return n // 2"


def block(code: str, language: str = "python") -> str:
    return f"Here:\n```{language}\n{code}\n```"


ROW = {
    "instruction": "half({n}) is n // 2.",
    "output": block(REFERENCE),
    "bench": "print(half(int(input())))",
    "stdin": ["4\n", "5\n", "-1\n"],
}


def rank(ask, script, sandbox, replies, row=ROW, **changes):
    engine = script({"### Code": replies} if replies else {})
    how = {"language": "python", "k": max(2, len(replies) + 1), **changes}
    return ask(IterRtl(**how), row, {"generator": engine, "sandbox": sandbox})


def test_candidates_are_scored_by_what_they_print(ask, script, sandbox) -> None:
    near, broken = "def half(n):\n    return int(n / 2)", "def half(n):\n    return (n"
    row = rank(ask, script, sandbox, [block(near), "Sorry, I cannot.", block(broken)])
    assert row["candidates"] == [near, broken, REFERENCE]
    assert row["scores"] == [pytest.approx(2 / 3), 0.0, 1.0]
    assert (row["scored_by"], row["iteration"], row["output"]) == ("tests", 1, ROW["output"])


def test_without_inputs_or_a_runner_likeness_decides(ask, script, sandbox) -> None:
    bare = {**ROW, "stdin": None, "bench": None}
    replies = [block(REFERENCE + "0"), block(REFERENCE + ")"), block("half = 1 / 0")]
    row = rank(ask, script, sandbox, replies, bare)
    assert row["scores"] == [pytest.approx(1 - 1 / 31), 0.0, 0.0, 1.0], "two do not run"
    fragment = {**bare, "output": block(REFERENCE + ")")}
    row = rank(ask, script, sandbox, replies, fragment)
    assert row["scores"][:2] == [pytest.approx(1 - 1 / 31), 1.0], "nor does the reference"
    assert row["scored_by"] == "similarity"
    lacks = Verdict("missing_dependency", "iverilog")
    verilog = {**ROW, "output": block("module m; endmodule", "verilog")}
    reply = block("module n; endmodule", "v")
    engine = script({"### Code": [reply], "": [lacks] * 6})
    row = ask(IterRtl(k=2), verilog, engine)
    assert (row["scored_by"], row["scores"]) == ("similarity", [pytest.approx(18 / 19), 1.0])


WRONG = {
    "majority": (" & b)", " | b)", 2 / 3),
    "gray": ("(value >> 1)", "(value >> 1 & 3)", 1 / 3),
    "counter": ("reset) count <= 0", "reset) count <= 8'd0 + up", 1 / 3),
}
"""What is changed in each module, and the share of the inputs that do not show it."""


@pytest.mark.skipif(bool(find_profile("verilog").missing), reason="apt-get install iverilog")
@pytest.mark.parametrize("name", WRONG)
def test_modules_of_the_recipe_are_simulated(ask, script, sandbox, name) -> None:
    lines = shipped()["iter_rtl"].with_name("iter_rtl.seeds.jsonl").read_text().splitlines()
    seeds = map(json.loads, lines)
    (seed,) = (row for row in seeds if re.search(rf"module {name}\b", row["output"]))
    right = code_in("verilog", seed["output"])
    near = right.replace(*WRONG[name][:2])
    replies = [block(code, "verilog") for code in (right + "\n", near, right[:-12])]
    row = rank(ask, script, sandbox, replies, seed, language="verilog")
    assert row["scored_by"] == "tests"
    same, almost, broken, reference = row["scores"]
    assert (same, broken, reference) == (1, 0, 1)
    assert almost == pytest.approx(WRONG[name][2])


def test_a_row_names_the_call_of_its_first_candidate(ask, script, sandbox) -> None:
    replies = [Completion("Sorry.", "stop", 9, 77), Completion(block("x"), "stop", 9, 5)]
    assert rank(ask, script, sandbox, replies, {**ROW, "stdin": None})["gen"]["tokens"] == 5


def test_what_cannot_be_run_here_is_no_candidate_and_not_a_bad_one(ask, script, sandbox) -> None:
    lacks = "import no_such_package\n" + REFERENCE
    assert rank(ask, script, sandbox, [block(lacks)]).code == "missing_tool"
    row = rank(ask, script, sandbox, [block(lacks), block(REFERENCE)])
    assert (row["candidates"], row["scores"]) == ([REFERENCE] * 2, [1.0] * 2)


def test_to_print_nothing_where_the_reference_prints_nothing_is_right(ask, script, sandbox) -> None:
    bench = "n = int(input())\nif n > 0:\n    print(half(n))"
    row = rank(ask, script, sandbox, [block("def half(n):\n    return 0")], {**ROW, "bench": bench})
    assert row["scores"] == [pytest.approx(1 / 3), 1.0]


@pytest.mark.parametrize(
    ("replies", "code"),
    [
        ([" ", " "], "empty"),
        ([Completion(block("x"), "length", 9, 9)], "cut_off"),
        (["Sorry, I cannot.", " "], "no_code"),
        ([block("x")[:-3]], "no_code"),
        ([block("x", "rust")], "no_code"),
    ],
)
def test_without_a_candidate_there_is_no_row(ask, script, sandbox, replies, code) -> None:
    assert rank(ask, script, sandbox, replies).code == code
    assert code in IterRtl.codes


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"output": "No code."}, "no_reference"),
        ({"output": None}, "no_reference"),
        ({"bench": "print(half(4))"}, "weak_tests"),
        ({"bench": "print(half(input()))"}, "bad_source"),
    ],
)
def test_a_reference_that_shows_nothing_asks_nobody(ask, script, sandbox, change, code) -> None:
    assert rank(ask, script, sandbox, [], {**ROW, **change}).code == code
    assert code in IterRtl.codes


def test_the_ranking_loss_by_hand() -> None:
    assert shares(LOG_PROBS) == pytest.approx([0.1757, 0.2896, 0.3201, 0.2146], abs=1e-4)
    assert ranking_loss(LOG_PROBS, SCORES) == pytest.approx(1.0613, abs=1e-4)
    assert ranking_loss([0.0, 0.0], [0.1, 0.3]) == 0, "a gap of 0.2 is none, in floats too"
    assert ranking_loss([0.0, 0.0], [0.1, 0.31]) == pytest.approx(0.3)
    assert ranking_loss([-9.0, 0.0], [0.0, 1.0]) == 0, "ranked rightly, by more than the margin"
    assert ranking_loss([-2000.0, 0.0], [1.0, 0.0]) == pytest.approx(1.3)
    assert (ranking_loss([], []), shares([])) == (0, [])


def test_the_scorer_reads_every_candidate_under_the_instruction(ask, script) -> None:
    row = {"instruction": "Halve.", "meta.iter_rtl.candidates": list("abcd")}
    row["meta.iter_rtl.scores"] = SCORES
    engine = script({f"Halve.\n{c}": [[v, v]] for c, v in zip("abcd", LOG_PROBS, strict=True)})
    found = ask(Loss(), row, engine)
    assert found["ranking_loss"] == pytest.approx(1.0613, abs=1e-4)
    assert found["loss"] == pytest.approx((1.0613 + 1) * 0.8, abs=1e-4)
    assert math.fsum(found["shares"]) == pytest.approx(1)
    nothing = ask(Loss(), {**row, "meta.iter_rtl.candidates": None}, script({}))
    assert (nothing["loss"], nothing["flags"]) == (None, ["empty_prompt"])
    empty = script({"Halve.": [[-1.0], [], [-1.0], [-1.0]]})
    assert ask(Loss(), row, empty)["loss"] is None
