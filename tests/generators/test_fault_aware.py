import pytest

from gristmill.engines.requests import Completion
from gristmill.generators.fault_aware import FaultAware
from gristmill.pipelines import Drop
from gristmill.text.faults import rebuild

RIGHT = "def add(a, b):\n    total = a + b\n    return total"
TESTS = "assert add(1, 2) == 3\nassert add(0, 0) == 0"
ROW = {"instruction": "Add {two}.", "output": f"```python\n{RIGHT}\n```", "tests": TESTS}
ASK = "### Wrong program"
WRONG = RIGHT.replace("+", "-")
SAME = RIGHT.replace("a + b", "b + a")
FARTHER = RIGHT.replace("return total", "return total + 10")
LOOPS = RIGHT.replace("    return", "    while a: pass\n    return")
CRASH = RIGHT.replace("a + b", "a + c")


def block(code: str) -> str:
    return f"```python\n{code}\n```"


def test_the_nearest_version_that_fails_a_check_is_kept(ask, script, sandbox) -> None:
    replies = [block(SAME), block(FARTHER), block(WRONG), block(RIGHT)]
    engine = script({ASK: replies})
    row = ask(FaultAware(), ROW, {"generator": engine, "sandbox": sandbox})
    assert (row["code_correct"], row["code_incorrect"]) == (RIGHT, WRONG)
    at = RIGHT.index("+")
    assert row["char_spans"] == [[at, at + 1]]
    assert row["line_mask"] == [False, True, False]
    edits = [(edit["start"], edit["end"], edit["text"]) for edit in row["edits"]]
    assert rebuild(RIGHT, edits) == WRONG
    assert row["similarity"] == pytest.approx(1 - 1 / len(RIGHT))
    assert row["verdict_incorrect"] == "check 0: expected 3, found -1"
    assert row["output"] == ROW["output"]
    assert len({call.draw for call in engine.calls}) == 4


@pytest.mark.parametrize(
    "reply",
    [
        block(SAME),
        block(RIGHT),
        block(f"{RIGHT}  # in all"),
        block(LOOPS),
        block(CRASH),
        block("def add(a, b): return"),
        block("import sys\nsys.exit(0)\n" + RIGHT),
        block("def add(a, b"),
        "Sorry, no.",
        "```python\n" + WRONG,
        " ",
        Completion(block(WRONG), "length", 9, 9),
    ],
)
def test_what_passes_ends_otherwise_or_is_another_program_is_none(
    ask, script, sandbox, reply
) -> None:
    stage = FaultAware(k=1, timeout_s=0.5)
    drop = ask(stage, ROW, {"generator": script({ASK: [reply]}), "sandbox": sandbox})
    assert isinstance(drop, Drop)
    assert drop.code == "no_variant"


@pytest.mark.parametrize(
    ("output", "code"), [("no block", "no_code"), (block(WRONG), "not_passing")]
)
def test_a_row_without_a_right_program_asks_nobody(ask, script, sandbox, output, code) -> None:
    roles = {"generator": script({}), "sandbox": sandbox}
    assert ask(FaultAware(), {**ROW, "output": output}, roles).code == code
