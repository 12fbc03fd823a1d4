"""The method of Auto-Evol: tried on rows, improved by what went wrong, kept where it is better."""

import asyncio

import pyarrow as pa
import pytest

from gristmill import Recipe, run
from gristmill.engines.client import Client
from gristmill.engines.requests import Completion
from gristmill.pipelines import Context
from gristmill.scorers.evolving_method import EvolvingMethod
from gristmill.storage.answers import Answers
from gristmill.text.evolving_plans import METHOD, failure, final_version

ROWS = ["Name a river.", "Add two numbers."]
BETTER = "Ask for more, in steps.\n### Step 1: Ways\nThink.\n### Step 2: Final version\nWrite it."
POEM = "The river runs,\nit never stays,\nthrough all the nights and all the days."
WRONG = "### What went wrong"


@pytest.fixture
def fit(tmp_path):
    """Decide on rows; return the one line that all of them got."""

    def call(engine, texts=ROWS, **changes):
        stage = EvolvingMethod(**changes)
        roles = dict.fromkeys(stage.needs(), Client(engine, Answers(tmp_path / "answers")))
        columns = {"id": [str(i) for i in range(len(texts))], "instruction": texts}
        table = pa.table(columns | {"input": pa.nulls(len(texts), pa.string())})

        async def go():
            return await stage.decide(table, Context(roles, 0, "label", "id"))

        lines = asyncio.run(go()).to_pylist()
        assert all(line["keep"] for line in lines)
        (found,) = {(line["method"], line["score"], line["steps"]) for line in lines}
        return found

    return call


def evolved(text: str) -> str:
    return f"### Step 4: Final version\n{text} Say why, in ten words or more."


def test_off_it_asks_nobody_and_gives_our_method(fit, script) -> None:
    assert fit(script({})) == (METHOD, None, 0)
    assert EvolvingMethod().needs() == {}


def test_a_method_that_never_fails_is_not_improved(fit, script) -> None:
    table = {f"### Instruction\n{text}": [evolved(text)] for text in ROWS}
    table |= {f"{text} Say why": ["The Rhine carries ships."] for text in ROWS}
    engine = script(table)
    assert fit(engine, optimizer=True) == (METHOD, 1.0, 0)
    assert all(call.prompt[0]["content"].startswith(METHOD) for call in engine.calls[:1])


def test_the_candidate_that_fails_least_is_the_next_method(fit, script) -> None:
    first, second = (f"### Instruction\n{text}" for text in ROWS)
    asked = [f"{text} Say why" for text in ROWS]
    engine = script(
        {
            # What went wrong stands in no other prompt; one step, one round of two rows.
            ("### Better method",): ["no heading", BETTER, BETTER],
            WRONG: ["- It lost the river."],
            (BETTER, first): [evolved(ROWS[0])],
            (BETTER, second): [evolved(ROWS[1])],
            (METHOD, first): [evolved(ROWS[0])],
            (METHOD, second): ["no final version"],
            (asked[0],): ["Please provide the river."],
            (asked[1],): ["Two and two make four."],
        }
    )
    found = fit(engine, optimizer=True, steps=1, candidates=3, batch=2, rounds=1)
    assert found == (BETTER, 0.5, 1)
    analysed = next(c for c in engine.calls if c.prompt[0]["content"].endswith(WRONG))
    shown = "### Instructions, and what became of them\nName a river.\n-> Name a river. Say why"
    assert shown in analysed.prompt[0]["content"]
    assert "\n\nAdd two numbers.\n\n" in analysed.prompt[0]["content"]


@pytest.mark.parametrize("said", [" ", Completion("- It", "length", 9, 2), "### Final\nnothing"])
def test_a_search_that_finds_no_better_method_keeps_ours(said, fit, script) -> None:
    asked = {"### Better method": [said]} if said == "### Final\nnothing" else {}
    table = {**asked, WRONG: [said], "### Instruction\nName a river.": ["nothing"]}
    found = fit(script(table), ROWS[:1], optimizer=True, candidates=1, batch=1)
    assert found == (METHOD, 0.0, 0)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("Sure, what would you like me to do?", "only talks"),
        ("Understood. Which river do you mean?\n", "only talks"),
        ("Thank you for the hint! Shall I go on?", "only talks"),
        ("Sure: it is the Rhine.", None),
        ("Is it the Rhine?", None),
        ("Please provide the table that you speak of.", "asks back"),
        ("It pleases people to provide.", None),
        (f"Certainly!\n\n{POEM}\n\nWould you like another one?", None),
        (f"Certainly! {POEM * 4} Another one?", None),
        ("Dear Ann,\n\nplease provide your address.\n\nYours, Tom", None),
        (f"{POEM * 4} Please provide more. {POEM}", None),
        (f"I can do that.\n\n{POEM}\n\nTo go on, please share the table.\n", "asks back"),
        ("Please specify it.\nI have no table.", "asks back"),
        (" \n", None),
        ("sure " + "?" * 200_000 + "a", None),
    ],
)
def test_an_answer_shows_that_an_evolution_failed(answer, why) -> None:
    assert failure(answer) == why


def test_the_final_version_of_any_method_is_found() -> None:
    assert final_version("### Step 9: Final version\nName two.") == ("", "Name two.")
    assert final_version("Plan.\nFinal version: Name two.") == ("Plan.", "Name two.")
    assert final_version("Plan.\n### Final version\n") is None


@pytest.mark.parametrize(("n", "searches"), [(50, 1), (20, 3)])
def test_waves_search_once_where_the_first_brings_the_rows_it_is_made_on(
    n, searches, engine, tmp_path
) -> None:
    """Of 50 seeds the first wave has 5, as many as a search; of 20 it has 2, the others 4 and 8."""
    few = {"trials": 3, "batch": 2, "steps": 1, "rounds": 1, "candidates": 1}
    stages = [{"use": "scorers.evolving_method", "optimizer": True, **few}]
    stages.append({"use": "generators.auto_evol"})
    export = {"card": False, "report": False}
    made = Recipe(name="waves", stages=stages, target=n, export=export)
    model = engine(answer=lambda prompt, _: "nothing" if prompt.endswith(WRONG) else "no heading")
    seeds = [{"instruction": f"Name river {i}."} for i in range(n)]
    result = run(
        made, seeds, engines=dict.fromkeys(("evolver", "responder"), model), workspace=tmp_path
    )
    assert result.stop == "seeds"
    prompts = [call.prompt[0]["content"] for call in model.calls]
    assert sum(prompt.endswith(WRONG) for prompt in prompts) == searches
