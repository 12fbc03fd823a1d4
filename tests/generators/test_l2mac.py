"""L2MAC: plans, and files that are written step by step within a budget."""

import pytest

from gristmill.engines.requests import Completion
from gristmill.engines.sandbox import Verdict
from gristmill.generators.l2mac import L2mac
from gristmill.generators.l2mac_build import STEP, WRONG_FORM, L2macBuild
from gristmill.text.code_files import written
from gristmill.text.file_store import action_of, listing, shown, within

SPEC = {"instruction": "Halves of {numbers}."}
PLAN = ["Write halves.py.", "Write use.py."]


def test_a_specification_becomes_a_plan(ask, script) -> None:
    engine = script(
        {"### Plan": ["Sure:\n1. Write halves.py.\n2. **Write use.py.**\n\nGood luck."]}
    )
    row = ask(L2mac(), SPEC, engine)
    assert row["prompt_program"] == PLAN
    assert row["output"] == "1. Write halves.py.\n2. Write use.py."
    assert "2 to 6 steps" in engine.calls[0].prompt[0]["content"]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (" ", "empty"),
        ("Sorry, I cannot.", "no_plan"),
        ("1. All at once.", "no_plan"),
        ("\n".join(f"{i}. Step." for i in range(7)), "no_plan"),
        (Completion("1. A.\n2. B.", "length", 9, 9), "cut_off"),
    ],
)
def test_a_reply_without_a_plan_leaves(ask, script, reply, code) -> None:
    assert ask(L2mac(), SPEC, script({"### Plan": [reply]})).code == code
    assert code in L2mac.codes


def files(**texts: str) -> str:
    return "I write.\n\n" + "\n\n".join(
        f"### {name}.py\n```python\n{text}\n```" for name, text in texts.items()
    )


HALVES = files(
    halves="def half(n):\n    return n // 2",
    test_halves="from halves import half\n\ndef test_half():\n    assert half(4) == 2",
)
USE = files(
    use="from halves import half\n\ndef halves(ns):\n    return [half(n) for n in ns]",
    test_use="from use import halves\n\ndef test_use():\n    assert halves([4, 6]) == [2, 3]",
)


def build(ask, script, sandbox, replies, plan=PLAN, **changes):
    engine = script({"### Your reply": replies})
    row = {**SPEC, "meta.l2mac.prompt_program": plan}
    return ask(L2macBuild(**changes), row, {"generator": engine, "sandbox": sandbox}), engine.calls


def sections(call) -> dict[str, str]:
    parts = call.prompt[0]["content"].split("\n\n### ")[1:]
    return dict(part.split("\n", 1) for part in parts if "\n" in part)


def test_every_step_writes_is_checked_and_tells_the_next(ask, script, sandbox) -> None:
    wrong = HALVES.replace("n // 2", "n / 3")
    replies = [wrong, "DONE: too early", HALVES, "DONE: half(n) is there.", "READ: halves.py", USE]
    row, calls = build(ask, script, sandbox, [*replies, "DONE: all."])
    assert row["output"].startswith(
        "### halves.py\n```python\ndef half(n):\n    return n // 2\n```"
    )
    assert [one["path"] for one in row["tests"]] == ["test_halves.py", "test_use.py"]
    assert [step["instruction"] for step in row["steps"]] == PLAN
    assert [text.split(":")[0] for text in row["steps"][0]["checks"]] == ["fail", "pass"]
    store = {}
    for step in row["steps"]:
        store |= {write["path"]: write["text"] for write in step["writes"]}
    last = {one["path"]: one["text"] for one in row["tests"]}
    assert {name: text for name, text in store.items() if name in last} == last
    rest = {name: text for name, text in store.items() if name not in last}
    assert written(rest) == row["output"]
    seen = [sections(call) for call in calls]
    assert "cannot end: fail: test_halves.py" in seen[2]["What happened last"]
    assert seen[4]["Said by the step before"] == "half(n) is there."
    assert seen[4]["Step"] == "Write use.py."
    assert "def half" in seen[5]["What happened last"]
    assert "halves.py (31 characters)" in seen[5]["Files"]


@pytest.mark.parametrize(
    ("replies", "code"),
    [
        ([" "], "empty"),
        ([Completion(HALVES, "length", 9, 9)], "cut_off"),
        (["Sorry, I cannot.", "DONE: nothing"], "step_failed"),
        ([HALVES.replace("### halves.py", "### ../halves.py")] * 2, "step_failed"),
        ([HALVES.replace("### halves.py", "### /tmp/halves.py")] * 2, "step_failed"),
        ([HALVES[:-3], HALVES + "\nDONE: both"], "step_failed"),
        ([files(a="def f(:"), "DONE: a"], "step_failed"),
        ([files(a="x = 1"), "DONE: a"], "weak_tests"),
        ([files(a="x = 1", test_a="import a\nassert a.x"), "DONE: a"], "weak_tests"),
    ],
)
def test_a_plan_that_is_not_carried_out_leaves(ask, script, sandbox, replies, code) -> None:
    drop, _ = build(ask, script, sandbox, replies, PLAN[:1], turns=2)
    assert drop.code == code
    assert code in L2macBuild.codes


def test_a_step_whose_tests_pass_only_sometimes_is_flaky(ask, script) -> None:
    facts, suite = '{"imports": []}', '{"imports": "from halves import half", "tests": "{x}"}'
    told = [Verdict("pass", cells=[{"stdout": text}]) for text in (facts, suite)]
    runs = script({"{x}": [Verdict("pass"), Verdict("fail", "test_half")], "": told})
    drop, _ = build(ask, script, runs, [HALVES, "Sorry, I cannot."], PLAN[:1], turns=2)
    assert drop.code == "flaky"
    assert drop.code in L2macBuild.codes


def test_a_plan_without_steps_asks_nobody(ask, script, sandbox) -> None:
    assert build(ask, script, sandbox, [], [])[0].code == "no_plan"


def test_a_reply_does_one_thing() -> None:
    assert action_of("READ: a.py, b.py", {}).names == ("a.py", "b.py")
    assert action_of("So.\nDONE: It works. ", {}).summary == "It works."
    assert list(action_of(HALVES.replace("4) == 2", "'DONE: x'"), {}).files) == [
        "halves.py",
        "test_halves.py",
    ], "what stands in a file is no line of the reply"
    for none in ("", "DONE:", "READ: a\nDONE: b", "READ: a\nREAD: b", "```\nx\n```", HALVES * 2):
        assert action_of(none, {}) is None
    assert action_of(HALVES, {"big.py": "x" * 100_000}) is None


def test_a_prompt_stays_within_its_budget_whatever_there_is() -> None:
    store = {f"file{i}.py": "x" * 1000 for i in range(5000)}
    parts = dict.fromkeys(("specification", "step", "summary"), "short")
    made = within(4000, STEP, **parts, files=listing(store), outcome=shown(store, tuple(store)))
    assert len(made) == 4000
    assert made.count("... (cut)") == 2
    assert made.count("short") == 3
    assert within(20, "{a}{b}", a="x" * 30, b="yy") == "xxxxxxxx\n... (cut)yy"
    assert within(1, "long {a}", a="x") == "long "


def test_what_nobody_understood_is_said(ask, script, sandbox) -> None:
    _, calls = build(ask, script, sandbox, ["Hm.", HALVES, "DONE: ok"], PLAN[:1])
    assert sections(calls[1])["What happened last"] == WRONG_FORM
