import pytest

from gristmill.engines.requests import Completion
from gristmill.generators.enriched_math import EnrichedMath
from gristmill.pipelines import Drop

SEED = {
    "instruction": "Ann has 4 {boxes} of 6 pens and loses 3. How many are left?",
    "output": "4*6=<<4*6=24>>24\n24-3=21\n#### 21",
}
PLAN, FULL = "Name the goals", "### Full solution"
GOALS = "1. Find how many pens there are in all boxes.\n2. Take the 3 lost ones away."
GOOD = "There are 4 boxes of 6 pens: 4 * 6 = 24.\nShe loses 3 of them: 24 - 3 = 21.\n#### 21"
SLIP = GOOD.replace("4 * 6 = 24", "4 * 6 = 26, no, 24")


def test_a_short_solution_gets_a_plan_and_all_its_steps(ask, script) -> None:
    engine = script({FULL: [GOOD], PLAN: [GOALS]})
    row = ask(EnrichedMath(), SEED, engine)
    goals = ["Find how many pens there are in all boxes.", "Take the 3 lost ones away."]
    assert (row["plan"], row["output"], row["answer"]) == (goals, GOOD, "21")
    assert (row["slips"], row["n_slips"], row["tries"]) == ([], 0, 1)
    first, second = (call.prompt[0]["content"] for call in engine.calls)
    shared = first.partition("\n### Task\nName the goals")[0]
    assert second.startswith(shared + "\n### Task\nWrite the solution")
    assert second.endswith(f"### Plan\n{GOALS}\n\n{FULL}")
    assert f"### Problem\n{SEED['instruction']}\n" in shared
    assert "4*6=24\n24-3=21" in shared, "without the notes of GSM8K"


def test_a_slip_with_a_right_answer_is_flagged(ask, script) -> None:
    row = ask(EnrichedMath(), SEED, script({FULL: [SLIP], PLAN: [GOALS]}))
    assert (row["slips"], row["n_slips"]) == (["4 * 6 = 26"], 1)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (GOOD.replace("21", "20"), "wrong_answer"),
        ("I do not know.", "wrong_answer"),
        ("24, 6, 4, 3\n#### 21", "shorter"),
        (
            "There are many pens in those boxes, and she loses a few of them.\n#### 21",
            "lost_numbers",
        ),
        (" ", "empty"),
        (Completion(GOOD, "length", 9, 9), "cut_off"),
    ],
)
def test_a_solution_that_is_no_good_is_asked_for_again(ask, script, bad, code) -> None:
    engine = script({FULL: [bad, bad, GOOD], PLAN: [GOALS]})
    assert ask(EnrichedMath(), SEED, engine)["tries"] == 3
    assert len({call.draw for call in engine.calls[1:]}) == 3
    drop = ask(EnrichedMath(retries=1), SEED, script({FULL: [bad, bad], PLAN: [GOALS]}))
    assert isinstance(drop, Drop)
    assert drop.code == code
    assert code in EnrichedMath.codes


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("1. Find it.", "no_plan"),
        ("Sorry, I cannot plan.", "no_plan"),
        ("1. Multiply.\n2. Subtract, which gives 21.", "plan_tells"),
        (" ", "empty"),
        (Completion(GOALS, "length", 9, 9), "cut_off"),
    ],
)
def test_a_plan_has_two_goals_and_no_answer(ask, script, reply, code) -> None:
    assert ask(EnrichedMath(), SEED, script({PLAN: [reply]})).code == code


@pytest.mark.parametrize("output", ["who knows", "#### ", "21"])
def test_a_seed_without_a_marked_answer_asks_nobody(ask, script, output) -> None:
    assert ask(EnrichedMath(), {**SEED, "output": output}, script({})).code == "no_answer"
