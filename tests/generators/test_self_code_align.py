import asyncio
from collections import Counter

import pyarrow.parquet as pq
import pytest

from gristmill import run
from gristmill.engines.requests import Completion
from gristmill.engines.sandbox import Sandbox
from gristmill.errors import PromptTooLong, RequirementError
from gristmill.generators.self_code_align import (
    CONCEPTS,
    INSTRUCTION,
    RESPONSE,
    SelfCodeAlign,
    examples,
)
from gristmill.pipelines import Context, Drop, LocalRunner, Recipe
from gristmill.text.fences import python_code

SEED = {"code": "def area(w, h):\n    '''Return w times h.'''\n    return w * h\n"}
NAMED = "concepts that a developer needs"
WRITE = "tasks that fit the properties"
SOLVE = "Solve each programming task"
GOOD = "def add(a, b):\n    return a + b"
CHECK = "assert add(1, 2) == 3"


def reply(code: str = GOOD, tests: str = f"```python\n{CHECK}\n```") -> str:
    return f"Add.\n\n```python\n{code}\n```\n</response>\n<tests>\n{tests}\n"


def cut(text: str) -> Completion:
    return Completion(text, "length", 9, 1536, "script")


BAD = "def add(a, b):\n    return a - b"
TEN = [
    reply(),
    reply(BAD),
    reply("import sys\nsys.exit(0)"),
    reply(GOOD + "  # second"),
    reply(BAD + "  # second"),
    reply(tests=CHECK),
    cut(reply()),
    reply("def add(a, b):\n    while True:\n        pass"),
    reply(BAD + "  # third"),
    reply(GOOD + "  # third"),
]


def stage(**changes) -> SelfCodeAlign:
    return SelfCodeAlign(**{"shots": 0, "response_shots": 0, "n": 1, **changes})


def test_the_worked_examples_have_five_sections_and_pass_their_own_tests() -> None:
    assert len(examples()) == 21
    for example in examples():
        assert set(example) == {"code", "property", "concepts", "instruction", "response", "tests"}
        assert [line.split(":")[0] for line in example["property"].splitlines()] == [
            "category",
            "language",
            "difficulty",
            "concepts",
        ]
        code, tests = python_code(example["response"]), python_code(example["tests"])
        exec(f"{code}\n\n{tests}", {"__name__": "example"})


def test_a_response_that_no_model_finished_leaves_its_siblings(ask, script) -> None:
    filtered = Completion("", "content_filter", 9, 0, "script")
    engine = script({NAMED: ["sums"], WRITE: ["Add."], SOLVE: [filtered, cut("Add"), reply()]})
    rows = ask(stage(n=3), SEED, engine)
    assert rows[:2] == [Drop("content_filter", "no text"), Drop("cut_off", "1536 tokens: Add")]
    assert rows[2]["instruction"] == "Add."


def test_concepts_lead_to_a_task_and_the_task_to_rows(ask, script) -> None:
    engine = script({NAMED: [" loops ,, sums\n"], WRITE: ["Add two.\n"], SOLVE: [reply(), reply()]})
    rows = ask(stage(n=2), SEED, engine)
    asked = [call.prompt for call in engine.calls]
    assert asked[0].endswith(f"<code>\n{SEED['code'].strip()}\n</code>\n<concepts>\n")
    category, difficulty = rows[0]["category"], rows[0]["difficulty"]
    assert asked[1].endswith(
        f"category: {category} implementation\nlanguage: Python\ndifficulty: {difficulty}\n"
        "concepts: loops, sums\n</property>\n<instruction>\n"
    )
    assert asked[2] == asked[3]
    assert asked[2].endswith("<instruction>\nAdd two.\n</instruction>\n<response>\n")
    assert engine.calls[2].sampling.stop == ("</tests>", "### Example")
    assert engine.calls[2].draw != engine.calls[3].draw
    assert rows[0]["instruction"] == "Add two."
    assert rows[0]["concepts"] == ["loops", "sums"]
    assert rows[0]["output"] == f"Add.\n\n```python\n{GOOD}\n```"
    assert rows[0]["tests"] == CHECK


@pytest.mark.parametrize(
    ("table", "code"),
    [
        ({NAMED: [" , \n"]}, "no_concepts"),
        ({NAMED: [" "]}, "empty"),
        ({NAMED: [cut("loops")]}, "cut_off"),
        ({NAMED: ["loops"], WRITE: [" \n"]}, "empty"),
        ({NAMED: ["loops"], WRITE: [cut("Add")]}, "cut_off"),
    ],
)
def test_a_seed_without_a_task_leaves_with_its_reason(ask, script, table, code) -> None:
    drop = ask(stage(), SEED, script(table))
    assert isinstance(drop, Drop)
    assert drop.code == code


def test_paper_defaults_show_eight_examples_and_one_before_the_response() -> None:
    paper = SelfCodeAlign()
    for form, n in ((CONCEPTS, 8), (INSTRUCTION, 8), (RESPONSE, 1)):
        prompt, sampling = next(paper.requests(form, {form.parts[0]: "x"}, 0))
        assert prompt.count("### Example") == n + 1
        assert (sampling.temperature, sampling.max_tokens) == (0.7, 1536)


def test_examples_that_do_not_fit_the_model_are_halved(ask, script) -> None:
    class Small(type(script({}))):
        async def generate(self, request):
            sizes.append(request.prompt.count("### Example") - 1)
            if sizes[-1] > 2:
                raise PromptTooLong("9 > 8")
            return await self.serve(request)

    sizes: list[int] = []
    engine = Small(table={NAMED: ["loops"], WRITE: ["Add."], SOLVE: [reply(), reply()]})
    rows = ask(SelfCodeAlign(response_shots=3, n=2), SEED, engine)
    engine.finish()
    assert sizes == [8, 4, 2, 8, 4, 2, 3, 3, 1, 1]
    assert [row["instruction"] for row in rows] == ["Add.", "Add."]


def test_no_example_is_the_seed_itself_and_draws_share_prefixes() -> None:
    paper = SelfCodeAlign(shots=20)
    for example in examples():
        for draw in range(3):
            prompt, _ = next(paper.requests(CONCEPTS, {"code": example["code"].strip()}, draw))
            assert prompt.count(f"<code>\n{example['code']}\n</code>") == 1
    shots = {next(paper.requests(CONCEPTS, {"code": "x"}, draw))[0] for draw in range(16)}
    assert len(shots) == 16


def test_the_prompt_depends_on_seed_and_row_only() -> None:
    async def asked(seed: int, ids: list[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {name: [] for name in ids}

        class Records:
            def __init__(self, name: str) -> None:
                self.name = name

            def stored(self, request):
                return None

            async def ask(self, request):
                await asyncio.sleep(0)
                found[self.name].append(request.prompt)
                return "key", Completion("loops", "stop", 1, 1, "records")

        async def one(name: str) -> None:
            ctx = Context({"generator": Records(name)}, seed, "self_code_align", name)
            await SelfCodeAlign(n=2)(SEED, ctx)

        await asyncio.gather(*map(one, ids))
        return found

    first = asyncio.run(asked(1, ["a", "b", "c", "d"]))
    assert first == asyncio.run(asked(1, ["d", "c", "b", "a"]))
    assert first != asyncio.run(asked(2, ["a", "b", "c", "d"]))


def test_categories_and_difficulties_have_the_papers_frequencies() -> None:
    class Concepts:
        def stored(self, request):
            return None

        async def ask(self, request):
            return "key", Completion("loops", "stop", 1, 1, "fixed")

    async def draws() -> tuple[Counter, Counter]:
        categories, difficulties = Counter(), Counter()

        class Solves(Concepts):
            async def ask(self, request):
                text = reply() if SOLVE in request.prompt else "loops"
                return "key", Completion(text, "stop", 1, 1, "fixed")

        for i in range(10_000):
            ctx = Context({"generator": Solves()}, 0, "self_code_align", str(i))
            (row,) = await stage()(SEED, ctx)
            categories[row["category"]] += 1
            difficulties[row["difficulty"]] += 1
        return categories, difficulties

    categories, difficulties = asyncio.run(draws())
    assert categories["function"] / 10_000 == pytest.approx(0.5, abs=0.02)
    assert categories["class"] / 10_000 == pytest.approx(0.25, abs=0.02)
    assert set(difficulties) == {"easy", "medium", "hard"}
    for n in difficulties.values():
        assert n / 10_000 == pytest.approx(1 / 3, abs=0.02)


def test_ten_responses_end_in_one_row_and_nine_reasons(script, tmp_path) -> None:
    sandbox = Sandbox(2)
    try:
        sandbox.run_all([])
    except RequirementError as error:
        pytest.skip(f"no isolation here: {error}")
    engine = script({NAMED: ["loops"], WRITE: ["Add two numbers."], SOLVE: TEN})
    recipe = Recipe.model_validate(
        {
            "name": "ten",
            "stages": [
                {"use": "generators.self_code_align", "shots": 0, "response_shots": 0},
                {"use": "verifiers.unit_tests", "timeout_s": 1},
                {"use": "filters.first_passing"},
            ],
        }
    )
    engines = {"generator": engine, "sandbox": sandbox}
    result = run(recipe, [SEED], engines, LocalRunner(), tmp_path)
    lines = {line["stage"]: line for line in result.ledger}
    assert lines["self_code_align"]["made"] == 10
    assert lines["self_code_align"]["codes"] == {"cut_off": 1, "no_tests": 1}
    assert lines["first_passing"]["codes"] == {"another_passed": 2, "not_passed": 5}
    (row,) = result.dataset.to_pylist()
    assert row["verdicts"]["unit_tests"]["status"] == "pass"
    assert GOOD in row["output"]
    ends = {
        row["id"]: row["verdicts"]["unit_tests"]["status"]
        for path in result.path.glob("shards/*/*.parquet")
        for row in pq.read_table(path).to_pylist()
        if row["verdicts"] and row["verdicts"]["unit_tests"]
    }
    assert Counter(ends.values()) == {"pass": 3, "fail": 3, "timeout": 1, "error": 1}
