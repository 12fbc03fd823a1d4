"""CodeAct: episodes with an interpreter that remembers; only those that took turns stay."""

from itertools import pairwise

import pytest

from gristmill.engines.requests import Completion
from gristmill.engines.sandbox import Verdict
from gristmill.generators.code_act import EXAMPLE, RULES, WRONG_FORM, CodeAct

SEED = {"instruction": "What is {six} times 7?", "output": "6 * 7\n#### 42"}


def run(code: str) -> str:
    return f"I try it.\n<execute>\n{code}\n</execute>"


def answer(text: str) -> str:
    return f"So it is.\n<solution>{text}</solution>"


def act(ask, script, sandbox, replies, row=SEED, **changes):
    engine = script({row["instruction"]: replies[:1], "Observation:": replies[1:]})
    found = ask(CodeAct(**changes), row, {"generator": engine, "sandbox": sandbox})
    return found, engine.calls


def seen(row) -> list[str]:
    return [t["content"] for t in row["messages"] if t["content"].startswith("Observation:")]


def test_the_interpreter_remembers_and_the_history_only_grows(ask, script, sandbox) -> None:
    row, calls = act(ask, script, sandbox, [run("x = 41"), run("print(x + 1)"), answer(" 42 ")])
    assert seen(row) == [
        "Observation: (nothing)\n(4 turns and 2 answers are left.)",
        "Observation: 42\n(3 turns and 2 answers are left.)",
    ]
    assert (row["turns"], row["output"], row["repaired"]) == (3, "42", False)
    for before, after in pairwise(calls):
        assert after.prompt[: len(before.prompt)] == before.prompt
    assert calls[0].prompt[0]["content"] == RULES + EXAMPLE
    assert row["messages"][0]["content"] == RULES, "the worked example is in no row"
    assert row["messages"][1]["content"] == SEED["instruction"]
    assert (calls[0].sampling.temperature, calls[0].sampling.max_tokens) == (0.0, 512)


def test_an_error_and_then_none_is_a_repair(ask, script, sandbox) -> None:
    row, _ = act(ask, script, sandbox, [run("6 * y"), run("6 * 7"), answer("42")])
    assert row["repaired"] is True
    assert "NameError" in seen(row)[0]


def test_a_wrong_form_or_answer_is_said_and_counted(ask, script, sandbox) -> None:
    both = run("1") + answer("42")
    row, _ = act(
        ask, script, sandbox, ["It is 42.", both, answer("41"), run("6 * 7"), answer("42")]
    )
    said = seen(row)
    assert said[0] == f"Observation: {WRONG_FORM}\n(4 turns and 2 answers are left.)"
    assert said[1].startswith(f"Observation: {WRONG_FORM}")
    assert said[2] == "Observation: The answer is wrong.\n(2 turns and 1 answers are left.)"
    assert (row["turns"], said[3].split("\n")[0]) == (5, "Observation: 42")


def test_long_output_is_cut_with_a_mark_and_an_endless_loop_is_seen(ask, script, sandbox) -> None:
    row, _ = act(
        ask, script, sandbox,
        [run("x = 6\nprint('a' * 2001)"), run("while True: pass"), run("x * 7"), answer("42")],
        timeout_s=0.4,
    )  # fmt: skip
    assert seen(row)[0].split("\n")[0] == f"Observation: {'a' * 2000}... (cut)"
    assert "time" in seen(row)[1]
    assert seen(row)[2].startswith("Observation: 42\n"), "what was defined before is still there"


@pytest.mark.parametrize(
    ("replies", "code"),
    [
        ([run("6 * 7"), answer("42")], "easy"),
        ([run("1"), answer("41"), answer("43")], "unsolved"),
        ([run("1")] * 5, "unsolved"),
        (["Sorry, I cannot."] * 5, "unsolved"),
        ([run("y"), run("z"), answer("42")], "no_clean_run"),
        (["hm", "hm", answer("42")], "no_clean_run"),
        ([run("1"), answer("\\sqrt{1764}")], "unjudged"),
        ([" "], "empty"),
        ([Completion(run("1"), "length", 9, 9)], "cut_off"),
    ],
)
def test_what_teaches_nothing_leaves(ask, script, sandbox, replies, code) -> None:
    drop, _ = act(ask, script, sandbox, replies)
    assert drop.code == code
    assert code in CodeAct.codes


def test_code_is_judged_by_its_tests(ask, script, sandbox) -> None:
    row = {"instruction": "Write half(n).", "tests": "assert half(4) == 2"}
    good = answer("\n```python\ndef half(n):\n    return n // 2\n```\n")
    bad = answer("import sys\nsys.exit(0)")
    found, _ = act(ask, script, sandbox, [run("4 // 2"), bad, good], row)
    assert found["turns"] == 3


def test_what_was_shown_before_must_come_again(ask, script) -> None:
    def cells(*values: str) -> Verdict:
        empty = {"status": "pass", "stdout": "", "stderr": "", "error": None}
        return Verdict("pass", cells=[{**empty, "value": value} for value in values])

    engine = script(
        {
            SEED["instruction"]: [run("time()")],
            "Observation:": [run("1")],
            "": [cells("1"), cells("2", "1")],
        }
    )
    assert ask(CodeAct(), SEED, engine).code == "unsteady"


def test_a_task_without_an_answer_asks_nobody(ask, script) -> None:
    assert ask(CodeAct(), {**SEED, "output": None}, script({})).code == "no_answer"
