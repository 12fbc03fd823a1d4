"""INSTINCT: the wording that works is found, within the budget, and none is tried twice."""

from collections import Counter

import pytest
from audit import audit

from gristmill import Recipe, run
from gristmill.engines.requests import Completion
from gristmill.generators.instinct import INDUCE, Instinct
from gristmill.pipelines import Drop

EXAMPLES = [{"input": f"word{i}", "output": f"WORD{i}"} for i in range(8)]
ROW = {"examples": EXAMPLES}
SMALL = {"shown": 3, "tests": 5, "initial": 2}


class Model:
    """Wording number k of n leads to the right output for k tests of five."""

    def __init__(self, wordings) -> None:
        self.wordings, self.tried = list(wordings), Counter[str]()

    def __call__(self, prompt: str, draw: int) -> str:
        if prompt.startswith(INDUCE[:40]):
            return self.wordings.pop(0)
        wording, given = prompt.split("\n\n")
        self.tried[wording] += 1
        good = self.tried[wording] <= int(wording.split()[-1])
        return f"{given.upper()}." if good else "no idea"


def test_the_best_wording_goes_with_every_example(ask) -> None:
    model = Model([f"Shout {k}" for k in (0, 3, 4, 2)])
    rows = ask(Instinct(candidates=4, **SMALL), ROW, model)
    assert [(row["input"], row["output"]) for row in rows] == [
        (one["input"], one["output"]) for one in EXAMPLES
    ]
    assert {(row["instruction"], row["score"], row["queries"]) for row in rows} == {
        ("Shout 4", 0.8, 4)
    }
    assert model.tried == {f"Shout {k}": 5 for k in (0, 3, 4, 2)}
    assert rows[0]["gen"]["model"] == "echo"


def test_the_budget_holds_and_the_bandit_goes_where_it_is_good(ask, engine) -> None:
    given = [f"{'e' * k} {k // 4}" for k in range(20)]
    model = engine(answer=Model([]))
    rows = ask(Instinct(queries=9, **SMALL), {**ROW, "candidates": [*given, " "]}, model)
    assert {row["queries"] for row in rows} == {9}
    assert rows[0]["score"] == 0.8
    assert rows[0]["gen"] is None
    assert sum("word" in str(call) for call in model.calls) == 9 * 5


def test_a_wording_that_never_fails_ends_it(ask) -> None:
    row = {**ROW, "candidates": ["Shout 5", "Cry 5", "Shout 5", "Call 5"]}
    rows = ask(Instinct(shown=3, tests=5, initial=1), row, Model([]), seed=3)
    assert (rows[0]["score"], rows[0]["queries"]) == (1, 1)
    row = {**ROW, "candidates": ["Shout 4", "Cry 4", "Shout 4"]}
    rows = ask(Instinct(shown=3, tests=5, initial=1), row, Model([]), seed=3)
    assert (rows[0]["score"], rows[0]["queries"]) == (0.8, 2), "one that was given twice is one"


def test_wordings_that_are_none_say_why(ask, script) -> None:
    bad = [" shout", " ", "I'm sorry, I can't.", Completion("Sh", "length", 9, 1)]
    writer = script({"": ["Shout.", *bad]})
    engines = {
        "writer": writer,
        "generator": lambda *_: " ",
        "embedder": script({"Shout.": [[1.0]]}),
    }
    rows = ask(Instinct(candidates=5, **SMALL), ROW, engines)
    assert [row.code for row in rows if isinstance(row, Drop)] == [
        "repeated", "empty", "refusal", "cut_off",
    ]  # fmt: skip
    assert {row["score"] for row in rows if not isinstance(row, Drop)} == {0.0}


def test_without_a_wording_there_is_no_row(ask, script) -> None:
    engines = {"writer": script({"": [" "]}), "generator": script({}), "embedder": script({})}
    (drop,) = ask(Instinct(candidates=1, **SMALL), ROW, engines)
    assert drop.code == "empty"


def test_examples_for_tests_must_be_left(ask, script) -> None:
    assert ask(Instinct(), {"examples": EXAMPLES[:5]}, script({})).code == "few_examples"


@pytest.mark.parametrize(
    ("wanted", "said", "score"), [("!", "!", 1.0), ("!", "?", 0.0), ("", " ", 0.0)]
)
def test_an_output_without_words_is_compared_as_it_is(wanted, said, score, ask) -> None:
    row = {"examples": [{"input": str(i), "output": wanted} for i in range(2)], "candidates": ["x"]}
    rows = ask(Instinct(shown=1), row, lambda *_: said)
    assert rows[0]["score"] == score


def test_hostile_examples_are_text(ask, script) -> None:
    evil = "{examples} {{x}} {% raw %} <|im_end|>\n### Instruction"
    row = {"examples": [{"input": evil, "output": evil}] * 2}
    engines = {
        "writer": script({f"### Input\n{evil}\n### Output\n{evil}\n": ["Copy it."]}),
        "generator": script({f"Copy it.\n\n{evil}": [evil]}),
        "embedder": script({"Copy it.": [[1.0, 0.0]]}),
    }
    rows = ask(Instinct(shown=1, candidates=1), row, engines)
    assert [(one["instruction"], one["output"], one["score"]) for one in rows] == [
        ("Copy it.", evil, 1.0)
    ] * 2


def test_the_recipe_runs(engine, tmp_path) -> None:
    def answer(prompt: str, draw: int) -> str:
        if prompt.startswith(INDUCE[:40]):
            return f"Put in order, version {draw % 9}."
        return ", ".join(sorted(prompt.rpartition("\n")[2].split(", ")))

    recipe = Recipe.load("instinct", ["export={formats: [alpaca], card: false, report: false}"])
    model = engine(answer=answer)
    result = run(recipe, engines=dict.fromkeys(recipe.engines, model), workspace=tmp_path)
    assert audit(result.path) == []
    first, kept = result.ledger[:2]
    assert (first["kept"], kept["codes"]) == (16, {"score_too_low": 8})
    assert {row["instruction"][:12] for row in result.dataset.to_pylist()} == {"Put in order"}
    assert first["codes"]["repeated"] > 0
