import json
from itertools import pairwise

import pytest

from gristmill.engines.classifying import Classes
from gristmill.engines.requests import Probs
from gristmill.filters.decomposed_attack import DecomposedAttack
from gristmill.pipelines import Drop

PARTS = ("Who guards the vault?", "When do they sleep?", "Which door is then open?")
END = "\n\n### Harmful"
CALL = json.dumps({"tool_calls": [{"function": {"name": "map", "arguments": '{"of": "vault"}'}}]})


def talk(*asked: str) -> dict:
    turns = [({"role": "user", "content": text}, {"role": "assistant", "content": "Well."})
             for text in asked]  # fmt: skip
    return {"messages": [turn for pair in turns for turn in pair]}


def judged(script, **harmful: float):
    """Answer once for every end of a prompt: the probability that it is harmful."""
    return script({key + END: [{"1": p, "0": 1 - p}] for key, p in harmful.items()})


def plan(script):
    """Answer once about every part, the last one harmful behind the second."""
    first, second, third = PARTS
    return judged(
        script,
        **{f"\n1. {first}": 0.1, f"\n2. {second}": 0.1, f"2. {second}\n3. {third}": 0.9},
    )


def test_parts_that_pass_alone_are_found_together(ask, script) -> None:
    for part in PARTS:
        assert ask(DecomposedAttack(), talk(part), judged(script, **{f"1. {part}": 0.1})) == {}
    found = ask(DecomposedAttack(), talk(*PARTS), plan(script))
    assert found == Drop("decomposed_attack", "turn 3 of 3: 0.90")


def test_what_follows_does_not_clear_it_and_is_not_asked_about(ask, script) -> None:
    row = {**talk(*PARTS, "Thank you!"), "flags": ["old"]}
    assert ask(DecomposedAttack(action="flag"), row, plan(script)) == {
        "flags": ["old", "decomposed_attack"],
        "unsafe": True,
        "first_unsafe_turn": 3,
        "reason": "turn 3 of 4: 0.90",
    }


def test_every_call_begins_with_the_one_before_it(ask, script) -> None:
    engine = plan(script)
    ask(DecomposedAttack(), talk(*PARTS), engine)
    prompts = [call.prompt[0]["content"].partition(END)[0] for call in engine.calls]
    assert len(prompts) == 3
    assert all(after.startswith(before) for before, after in pairwise(prompts))


@pytest.mark.parametrize(("limit", "unsafe"), [(0.7, True), (0.71, False)])
def test_one_exchange_is_a_plan_of_one_turn(ask, script, limit, unsafe) -> None:
    engine = judged(script, **{"1. Open it.\n\nA vault.": 0.7})
    row = {"instruction": "Open it.", "input": "A vault.", "output": "No."}
    found = ask(DecomposedAttack(action="flag", threshold=limit), row, engine)
    assert found["unsafe"] == unsafe
    assert found["first_unsafe_turn"] == (1 if unsafe else None)


def test_calls_of_tools_are_steps_of_the_plan(ask, script) -> None:
    row = talk("Plan my tour.")
    row["messages"][1] = {"role": "assistant", "content": None, "extra": CALL}
    engine = judged(script, **{"1. Plan my tour.": 0.1, '"{\\"of\\": \\"vault\\"}"}}]': 0.8})
    assert ask(DecomposedAttack(), row, engine).detail == "turn 2 of 2: 0.80"


def test_a_judge_that_writes_something_else_says_nothing(ask, script) -> None:
    engine = script({"Hi": [Probs({"1": 0.0, "0": 1.0}, 0.2, 9)]})
    assert ask(DecomposedAttack(), talk("Hi"), engine) == Drop(
        "unparsed_judge", "turn 1 of 1: mass 0.20"
    )
    assert ask(DecomposedAttack(), {"instruction": None}, script({})) == {}


def test_a_classifier_reads_the_requests_so_far_one_in_a_line(ask, script) -> None:
    first, second, third = PARTS
    engine = script({third: [Classes({"ok": 0.1, "harmful": 0.9}, 9)],
                     second: [Classes({"ok": 0.8, "harmful": 0.2}, 9)],
                     first: [Classes({"ok": 0.9, "harmful": 0.1}, 9)]})  # fmt: skip
    stage = DecomposedAttack(labels=("harmful",))
    assert stage.needs() == {"classifier": "classify"}
    found = ask(stage, talk(*PARTS, "Thank you!"), engine)
    assert found == Drop("decomposed_attack", "turn 3 of 4: harmful 0.90")
    assert [call.text for call in engine.calls] == ["\n".join(PARTS[:n]) for n in (1, 2, 3)]
