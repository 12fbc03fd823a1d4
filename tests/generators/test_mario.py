from itertools import pairwise

import pytest

from gristmill.engines.requests import Completion
from gristmill.engines.sandbox import Verdict
from gristmill.generators.mario import Mario
from gristmill.pipelines import Drop

SEED = {"instruction": "What is {six} times 7?", "output": "6 * 7 = 42\n#### 42"}
LAST = "### Steps\n"


def code(text: str, thought: str = "Go on.") -> str:
    return f"Thought: {thought}\nAction: python\n```python\n{text}\n```\n"


def final(answer: str, thought: str = "Done.") -> str:
    return f"Thought: {thought}\nFinal answer: {answer}"


def one(**changes) -> Mario:
    return Mario(**{"samples": 1, "profile": "bare", "timeout_s": 1, **changes})


def solve(ask, script, sandbox, replies, **changes):
    """Serve a single sample: its first request, then one per observation, in order."""
    engine = script({SEED["instruction"]: replies[:1], "Observation:": replies[1:]})
    found = ask(one(**changes), SEED, {"generator": engine, "sandbox": sandbox})
    return found[0], engine.calls


def test_the_interpreter_remembers_and_its_words_are_real(ask, script, sandbox) -> None:
    invented = code("x = 6") + "Observation:\n99\n\n" + final("99")
    row, calls = solve(ask, script, sandbox, [invented, code("print('hi')\nx * 7"), final("42")])
    assert [(s["code"], s["output"]) for s in row["steps"]] == [
        ("x = 6", "(nothing)"),
        ("print('hi')\nx * 7", "hi\n42"),
        (None, None),
    ]
    assert (row["final_answer"], row["grounded"]) == ("42", True)
    assert "99" not in row["output"]
    assert row["output"].count("Observation:\n") == 2
    assert (row["n_samples"], row["n_correct"]) == (1, 1)
    for before, after in pairwise(calls):
        assert after.prompt[: len(before.prompt)] == before.prompt, "the history only grows"


def test_an_error_is_seen_and_can_be_repaired(ask, script, sandbox) -> None:
    row, _ = solve(ask, script, sandbox, [code("1 / 0"), code("6 * 7"), final("42")])
    assert row["steps"][0]["output"].endswith("ZeroDivisionError: division by zero")


def test_code_that_never_ends_is_a_time_out_that_is_seen(ask, script, sandbox) -> None:
    row, _ = solve(
        ask, script, sandbox, [code("x = 6"), code("while True: pass"), code("x * 7"), final("42")],
        timeout_s=0.4,
    )  # fmt: skip
    assert "time" in row["steps"][1]["output"]
    assert row["steps"][2]["output"] == "42", "what was defined before is still there"


def test_an_answer_out_of_nowhere_is_flagged(ask, script, sandbox) -> None:
    row, _ = solve(ask, script, sandbox, [final("42", "I just know it.")])
    assert row["grounded"] is False


@pytest.mark.parametrize(
    ("replies", "why"),
    [
        ([final("41")], "wrong_answer"),
        ([final("\\sqrt{1764}")], "unjudged"),
        ([code("1") + final("42")], "invalid_step"),
        (["It is 42."], "invalid_step"),
        (["Sorry, I cannot."], "invalid_step"),
        ([code("1")[:-5]], "invalid_step"),
        ([" "], "empty"),
        ([Completion(code("1"), "length", 9, 9)], "cut_off"),
        ([code("1"), code("2"), code("3")], "no_final"),
    ],
)
def test_a_sample_without_the_right_answer_says_why(ask, script, sandbox, replies, why) -> None:
    drop, _ = solve(ask, script, sandbox, replies, max_code=2)
    assert isinstance(drop, Drop)
    assert drop.code == why
    assert why in Mario.codes


def test_what_was_shown_before_must_come_again(ask, script) -> None:
    def cells(*values: str) -> Verdict:
        empty = {"status": "pass", "stdout": "", "stderr": "", "error": None}
        return Verdict("pass", cells=[{**empty, "value": value} for value in values])

    engine = script(
        {
            SEED["instruction"]: [code("time()")],
            "Observation:": [code("1")],
            "": [cells("1"), cells("2", "1")],
        }
    )
    (drop,) = ask(one(), SEED, engine)
    assert drop.code == "unsteady"


def test_two_that_agree_on_a_wrong_answer_do_not_pass(ask, script, sandbox) -> None:
    engine = script({SEED["instruction"]: [final("41"), final("42"), final("41")]})
    found = ask(one(samples=3), SEED, {"generator": engine, "sandbox": sandbox})
    assert sum(isinstance(row, Drop) for row in found) == 2
    (row,) = [row for row in found if not isinstance(row, Drop)]
    assert (row["final_answer"], row["n_samples"], row["n_correct"]) == ("42", 3, 1)
    assert sorted(call.sampling.temperature for call in engine.calls) == [0.0, 0.6, 0.6]
    assert engine.calls[0].sampling.stop == ("Observation:",)
    assert len({call.draw for call in engine.calls}) == 3


def test_a_seed_without_an_answer_asks_nobody(ask, script) -> None:
    assert ask(one(), {**SEED, "output": " "}, script({})).code == "no_answer"
