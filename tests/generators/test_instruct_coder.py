"""InstructCoder: lists of instructions, scenarios, edits, and all of it over rounds."""

import asyncio
import json
from collections import Counter

import pyarrow as pa
import pytest
from audit import audit

from gristmill import Recipe, run
from gristmill.engines.client import Client
from gristmill.engines.requests import Completion
from gristmill.generators.instruct_coder import KINDS, InstructCoder
from gristmill.generators.instruct_coder_edits import InstructCoderEdits, _examples
from gristmill.pipelines import Context, Drop
from gristmill.storage.answers import Answers
from gristmill.text.fences import python_code
from gristmill.text.rouge import rouge_l

WHAT = ("a copy", "both ends", "the index", "None", "a set", "two", "a name", "its age")
SEEDS = [f"Return {what} from the function." for what in WHAT]
LIST = "as developers give them"
SCENARIOS = "Name ten situations"
EDIT = "in the situation that is given"


@pytest.fixture
def grow(tmp_path):
    """Ask the listing stage in a later round, with a pool."""

    def call(engine, made=(), seed=0, **changes):
        rounds = [*[0] * len(SEEDS), *[1] * len(made)]
        pool = pa.table({"instruction": [*SEEDS, *made], "round": rounds})
        answers = Answers(tmp_path / f"answers-{seed}-{len(made)}")

        async def go():
            roles = {"generator": Client(engine, answers)}
            ctx = Context(roles, seed, "label", "id", round=1, pool=pool)
            return await InstructCoder(**changes)({"instruction": SEEDS[0]}, ctx)

        try:
            return asyncio.run(go())
        finally:
            answers.close()

    return call


def test_lines_in_quotes_are_instructions_and_others_leave(grow, script) -> None:
    reply = '9. "Log every retry."\n10. Do it\n\n11) "I am sorry, but I cannot do that."\n"x"'
    made = [f"Sort the rows by {name}." for name in ("name", "age", "size")]
    engine = script({LIST: [reply]})
    good, bare, refusal, unnumbered = grow(engine, made)
    assert (good["instruction"], good["output"]) == ("Log every retry.", None)
    assert bare == Drop("not_quoted", "10. Do it")
    assert (refusal.code, unnumbered.code) == ("refusal", "not_quoted")
    assert good["edit_type"] in KINDS
    asked = engine.calls[0].prompt[0]["content"]
    assert f"this kind of change: {good['edit_type']}.\n" in asked
    assert asked.endswith("\n".join(f'{i}. "{t}"' for i, t in enumerate(good["shown"], 1)))
    assert (len(good["shown"]), len({*good["shown"]} & {*made})) == (8, 1)
    assert SEEDS[0] in good["shown"]
    assert (engine.calls[0].sampling.temperature, engine.calls[0].sampling.top_p) == (0.7, 0.5)


def test_kinds_of_edits_go_round(grow, script) -> None:
    engine = script({LIST: [f'9. "Log retry {i}."' for i in range(26)]})
    rows = grow(engine, lists=26)
    kinds = [row["edit_type"] for row in rows]
    assert len(KINDS) == len(set(kinds)) == 26
    start = KINDS.index(kinds[0])
    assert kinds == [KINDS[(start + i) % 26] for i in range(26)]


@pytest.mark.parametrize(
    ("reply", "code"),
    [(" ", "empty"), (Completion('9. "Log', "length", 9, 9), "cut_off")],
)
def test_a_reply_that_is_none_gives_no_instruction(grow, script, reply, code) -> None:
    assert [row.code for row in grow(script({LIST: [reply]}))] == [code]


BEFORE, AFTER = "def f(x):\n    return x", "def f(x):\n    return x + 1"


def edit(before: str = BEFORE, after: str = AFTER) -> str:
    return f"Input:\n```python\n{before}\n```\n\nOutput:\n```python\n{after}\n```"


TEN = "\n".join(f"{i}. shop {i}" for i in range(1, 11))


def test_an_instruction_gets_a_scenario_and_an_edit(ask, script, sandbox) -> None:
    drawn = Counter()
    for seed in range(12):
        engine = script({SCENARIOS: [TEN], EDIT: [edit()]})
        roles = {"generator": engine, "sandbox": sandbox}
        row = ask(InstructCoderEdits(), {"instruction": "Add {one}."}, roles, seed)
        assert (row["input"], row["output"]) == (BEFORE, AFTER)
        drawn[row["scenario"]] += 1
        first, second = (call.prompt[0]["content"] for call in engine.calls)
        assert first.endswith("\n### Instruction\nAdd {one}.\n### Scenarios")
        assert second.endswith(f"Add {{one}}.\n### Scenario\n{row['scenario']}\n### Edit")
        assert (first.count("### Instruction"), second.count("### Instruction")) == (3, 5)
        assert [call.sampling.temperature for call in engine.calls] == [0.7, 0.0]
    assert len(drawn) > 4, "any of the ten"


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (edit(AFTER, AFTER + "  \n\n"), "no_change"),
        (edit(after="def f(x):"), "ends_with_colon"),
        (edit(after="def f(x)\n    return 1"), "not_python"),
        (edit(before="def f(:\n    return 1"), "not_python"),
        (edit().split("Output:")[0], "no_parts"),
        (edit()[:-4], "no_parts"),
        ("Output:\n" + edit().replace("Output:", "Input:"), "no_parts"),
        ("I am sorry, but I cannot edit code.", "refusal"),
        (" ", "empty"),
        (Completion(edit(), "length", 9, 9), "cut_off"),
    ],
)
def test_a_reply_that_is_no_edit_leaves(ask, script, sandbox, reply, code) -> None:
    engine = script({SCENARIOS: [TEN], EDIT: [reply]})
    roles = {"generator": engine, "sandbox": sandbox}
    assert ask(InstructCoderEdits(), {"instruction": "Add one."}, roles).code == code
    assert code in InstructCoderEdits.codes


@pytest.mark.parametrize("reply", ["In a shop.", "I am sorry, but I cannot.", "..."])
def test_without_scenarios_there_is_no_edit(ask, script, reply) -> None:
    engine = script({SCENARIOS: [reply]})
    assert ask(InstructCoderEdits(), {"instruction": "Add one."}, engine).code == "no_scenario"


def test_the_worked_examples_are_edits_themselves() -> None:
    assert len(_examples()) == 4
    for example in _examples():
        before, after = map(python_code, example["edit"].split("Output:"))
        assert None not in (before, after)
        assert before != after
        compile(before, "before", "exec")
        compile(after, "after", "exec")
    assert [len(e["scenarios"].splitlines()) for e in _examples()[:2]] == [10, 10]


def test_rounds_add_what_is_new_and_nothing_is_lost(engine, sandbox, tmp_path) -> None:
    def answer(prompt: str, draw: int) -> str:
        if LIST in prompt:
            word = f"w{draw % 7}"
            return f'9. "Let {word} count {word} again in {word}."\n10. nothing'
        if SCENARIOS in prompt:
            return TEN
        return edit(BEFORE + f" - {draw % 3}" + prompt[-3:].count("x") * "0")

    names = (
        "generators.instruct_coder",
        "filters.rouge_novelty",
        "generators.instruct_coder_edits",
    )
    stages = f"stages=[{', '.join(f'{{use: {name}}}' for name in names)}]"
    bare = "export={formats: [alpaca], card: false, report: false}"
    recipe = Recipe.load("instruct_coder", [stages, "engines={}", bare])
    seeds = [{"instruction": text, "input": "a = 1", "output": "a = 2"} for text in SEEDS]
    model = engine(answer=answer)
    result = run(recipe, seeds, {"generator": model, "sandbox": sandbox}, workspace=tmp_path)
    assert audit(result.path) == []
    rows = result.dataset.to_pylist()
    new = [row["instruction"] for row in rows if row["instruction"] not in SEEDS]
    assert new
    assert len(rows) > len(new) >= 2
    texts = [row["instruction"] for row in rows if row["instruction"] in new]
    for i, text in enumerate(texts):
        assert all(rouge_l(text, other) < 0.7 for other in texts[:i]), text
    scenarios = [json.loads(row["meta"]).get("instruct_coder_edits") for row in rows]
    assert sum(bool(s and s["scenario"]) for s in scenarios) == len(new)
