"""What is held out, what is compared, and the table; trainings by a rule instead of a model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from gristmill.cli import main
from gristmill.engines.base import Engine
from gristmill.engines.requests import Completion, Generate, Op
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.engines.scripted import last
from gristmill.engines.trainer import Trainer
from gristmill.engines.training import LOSSES, Train, Trained
from gristmill.errors import InputError, PromptTooLong, RecipeError
from gristmill.flows.proof import Arms, arms_of, measure, split, trainer_of
from gristmill.flows.solving import Solver
from gristmill.pipelines.recipe import Recipe
from gristmill.pipelines.workspace import execute, prepare
from gristmill.publishing import card, proof
from gristmill.publishing.files import RunFiles

RECIPE = """# The six longest of the rows that have at least three words.
name: tiny
seeds: {path: seeds.jsonl}
stages:
  - use: filters.where
    where: words(output) >= 3
  - use: selectors.longest
    k: 6
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch) -> Recipe:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    rows = [{"instruction": "Go on" + "." * i, "output": "one " * i} for i in range(40)]
    lines = [json.dumps(row) for row in [*rows, *rows[30:]]]
    (tmp_path / "seeds.jsonl").write_text("\n".join(lines))
    return Recipe.load("tiny.yaml")


def test_held_out_rows_have_an_answer_and_no_copy_among_the_seeds(recipe) -> None:
    found = split(recipe, 12)
    held = {held.response for held in found.held_out}
    assert len(held) == 12
    assert "" not in held
    assert not held & {row.get("output") for row in found.seeds.rows}
    assert len(found.seeds.rows) == len(found.seeds.ids) == 50 - 12 - found.repeated
    assert found.repeated == sum(len(text.split()) >= 30 for text in held)
    assert f"held out to measure on: {12 + found.repeated} rows" in found.seeds.notes


def test_chance_alone_decides_what_is_held_out_and_the_recipes_seed_decides_chance(recipe) -> None:
    assert split(recipe, 12) == split(recipe, 12)
    other = recipe.model_copy(update={"seed": 1})
    assert split(other, 12).held_out != split(recipe, 12).held_out


def test_at_most_half_of_the_seeds_are_held_out(recipe) -> None:
    assert len(split(recipe, 1000).held_out) == 39 // 2


def test_rows_of_a_file_of_their_own_take_no_seed_but_copies(recipe, tmp_path) -> None:
    rows = [{"instruction": "Go on...", "output": "one one one "},
            {"instruction": "New.", "output": "Yes."}]  # fmt: skip
    (tmp_path / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = split(recipe, 1, "test.jsonl")
    assert len(found.held_out) == 2
    assert (len(found.seeds.rows), found.repeated) == (49, 1)


def test_seeds_without_answers_need_a_file_to_measure_on(recipe, tmp_path) -> None:
    (tmp_path / "seeds.jsonl").write_text('{"instruction": "Go."}\n')
    with pytest.raises(InputError, match=r"1 row of tiny: 0 answers to measure on; .* by --test"):
        split(recipe, 5)


def ran(recipe: Recipe, tests: str | None = None) -> RunFiles:
    seeds = split(recipe, 5, tests=tests).seeds
    return RunFiles.open(execute(prepare(recipe, seeds)).path)


def test_chance_draws_as_many_rows_from_what_reached_the_selector(recipe) -> None:
    arms = arms_of(ran(recipe), 4)
    pool = {pair.response for pair in arms[0]["everything"]}
    assert all(len(text.split()) >= 3 for text in pool)
    assert len(arms[0]["everything"]) == len(pool) > 25, "a row that is there twice counts once"
    chosen = {pair.response for pair in arms[0]["selected"]}
    longest = sorted(pool, key=len)[-len(chosen) :]
    assert chosen == set(longest)
    assert 3 <= len(chosen) <= 6, "copies of the longest rows were picked, too"
    by_chance = [frozenset(pair.response for pair in arm["random"]) for arm in arms]
    assert {len(found) for found in by_chance} == {len(chosen)}
    assert all(found < pool for found in by_chance)
    assert len(set(by_chance)) == 4


def test_a_selection_that_keeps_all_proves_nothing(recipe) -> None:
    recipe = recipe.model_copy(update={"stages": [{"use": "selectors.longest", "k": 99}]})
    with pytest.raises(RecipeError, match=r"kept (\d+) of \1 rows with an answer; .* change its k"):
        arms_of(ran(recipe), 3)


def test_the_recipes_trainer_goes_before_the_one_for_small_models(recipe) -> None:
    assert trainer_of(recipe).learning_rate == 5e-4
    own = {"trainer": {"use": "trainer", "epochs": 9}}
    found = trainer_of(recipe.model_copy(update={"engines": own}))
    assert (found.epochs, found.batch_size) == (9, 16)
    with pytest.raises(RecipeError, match=r"engines.trainer must be \{use: trainer\}"):
        trainer_of(recipe.model_copy(update={"engines": {"trainer": {"use": "scripted"}}}))


class Teacher(Trainer):
    """Loses what its rows are long; held-out row i is i harder, and one does not fit."""

    @property
    def identity(self) -> str:  # type: ignore[override]
        return "teacher"

    def check(self) -> None:
        return

    async def start(self) -> None:
        return

    async def train(self, request: Train) -> Trained:
        words = sum(len(pair.response.split()) for pair in request.rows) / len(request.rows)
        lines: list[dict[str, Any]] = []
        for i, held in enumerate(request.held_out):
            after = None if i == 0 else i + 10 - words / 10
            lines.append({"id": held.id, "checkpoint": 0, "nll": i + 10 if i else None})
            lines.append({"id": held.id, "checkpoint": 1, "nll": after})
        losses = pa.Table.from_pylist(lines, schema=LOSSES)
        return Trained("folder", losses, len(request.rows), 0, 0)


def measured(arms: list[Arms], recipe: Recipe, told: list[Any]) -> dict[str, Any]:
    return measure(arms, split(recipe, 5), Teacher(), Path(), lambda *seen: told.append(seen))


def test_arms_are_compared_row_by_row_and_seed_by_seed(recipe) -> None:
    told: list[Any] = []
    run = ran(recipe)
    arms = arms_of(run, 3)
    line = measured(arms, recipe, told)
    assert told[-1] == (9, 9)
    assert (line["held_out"], line["seeds"], line["before"]) == (4, 3, 12.5)

    def words(name: str) -> float:
        found = [len(pair.response.split()) for arm in arms for pair in arm[name]]
        return sum(found) / len(found)

    for name in ("selected", "random", "everything"):
        assert line["arms"][name]["loss"] == pytest.approx(12.5 - words(name) / 10)
        assert line["arms"][name]["rows"] == len(arms[0][name])
    gap = line["against"]["random"]
    assert gap["mean"] == pytest.approx((words("random") - words("selected")) / 10)
    assert gap["low"] < gap["mean"] < gap["high"] < 0
    assert proof.verdict(gap) == "better"
    assert proof.verdict({"low": 0.1, "high": 0.2}) == "worse"
    assert proof.verdict({"low": -0.1, "high": 0.2}) == "no difference"


def test_the_card_has_the_table_as_long_as_it_holds_for_its_rows(recipe) -> None:
    run = ran(recipe)
    line = {"recipe": "tiny", "model": "demo", **measured(arms_of(run, 3), recipe, [])}
    proof.save(run, [line])
    text = card.write(run.path).read_text()
    assert "## Does the selection pay?" in text
    assert "Loss in nats per token on 4 held-out rows of the model `demo`" in text
    assert "| better |" in text
    assert "--:|---|" in text
    (run.path / proof.FILE).write_text(json.dumps({"kept": "others", "lines": [line]}))
    assert "Does the selection pay?" not in card.write(run.path).read_text()


class Writer(Engine):
    """Writes what its model's name says, where the task has a test that knows of it."""

    ops: ClassVar[frozenset[Op]] = frozenset({"generate"})
    trainable: ClassVar[bool] = True
    model: str = "demo"
    revision: str | None = None

    @property
    def identity(self) -> str:
        return f"writer {self.model}"

    async def generate(self, request: Generate) -> Completion:
        if last(request.prompt).endswith("."):
            raise PromptTooLong("9 > 8")
        code = "no code" if "random" in self.model else "```python\nx = 1\n```"
        return Completion(code, "stop", 1, 1, "writer")


class Runs(Engine):
    """Knows one program and its tests."""

    ops: ClassVar[frozenset[Op]] = frozenset({"run"})

    @property
    def identity(self) -> str:
        return "runs"

    async def run(self, request: Program) -> Verdict:
        is_right = (request.code.strip(), request.tests) == ("x = 1", "assert x == 1")
        return Verdict("pass" if is_right else "fail")


class Named(Teacher):
    """Names the model after the arm it was trained on, by what is in it."""

    async def train(self, request: Train) -> Trained:
        made = await super().train(request)
        longest = min(len(pair.response) for pair in request.rows) > 100
        return replace(made, model="everything" if len(request.rows) > 20 else
                       "selected" if longest else "random")  # fmt: skip


@pytest.fixture
def tested(recipe, tmp_path) -> Recipe:
    lines = [json.loads(line) for line in (tmp_path / "seeds.jsonl").read_text().splitlines()]
    for i, row in enumerate(lines):
        row["instruction"] = row["instruction"].rstrip(".") + "?" * i
        row["tests"] = ["assert x == 1", "assert x == 2", None, ""][i % 4]
    (tmp_path / "seeds.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return recipe


def test_only_rows_with_tests_are_held_out_to_be_solved(tested) -> None:
    found = split(tested, 8, tests="tests")
    assert len(found.held_out) == 8
    assert {held.id for held in found.held_out} == set(found.tests)
    assert set(found.tests.values()) == {"assert x == 1", "assert x == 2"}
    with pytest.raises(InputError, match=r"with something in nothing; name a file"):
        split(tested, 8, tests="nothing")


def test_programs_of_the_trained_models_are_run_and_compared(tested) -> None:
    run, found = ran(tested, "tests"), split(tested, 5, tests="tests")
    solver = Solver(Writer(), Runs())
    line = measure(arms_of(run, 3), found, Named(), Path(), lambda *_: None, solver)
    right = sum(tests == "assert x == 1" for tests in found.tests.values()) / 5
    assert 0 < right < 1
    assert line["passes"]["tasks"] == 5
    assert line["passes"]["rates"] == {"selected": right, "random": 0, "everything": right}
    assert line["passes"]["against"]["random"]["mean"] == right
    assert line["passes"]["against"]["everything"]["mean"] == 0
    proof.save(run, [{"recipe": "tiny", "model": "demo", **line}])
    text = card.write(run.path).read_text()
    assert "Share (0..1) of the 5 tasks held out for which a program" in text
    row = next(x for x in text.splitlines() if f"| {right:.3f} | 0.000 | +{right:.4f} [" in x)
    assert row.count("|") == len(proof.PASS_HEADS) + 1
    assert proof.verdict({"low": 0.1, "high": 0.2}, larger="better") == "better"
    assert proof.verdict({"low": -0.2, "high": -0.1}, larger="better") == "worse"


def test_who_writes_the_programs_must_run_a_model_of_its_own(recipe) -> None:
    own = {"generator": {"use": "scripted"}}
    with pytest.raises(RecipeError, match=r"must be \{use: vllm\} to write .* found use: scripted"):
        Solver.of(recipe.model_copy(update={"engines": own}))
    named = {"generator": {"use": "vllm", "model": "other", "max_model_len": 256, "replicas": 4}}
    found: Any = Solver.of(recipe.model_copy(update={"engines": named})).generator
    assert (found.model, found.max_model_len, found.replicas) == ("demo", 256, 1)


def test_two_seeds_are_too_few(recipe, capfd) -> None:
    assert main(["prove", "tiny.yaml", "--seeds", "2"]) == 2
    assert "--seeds 2: fewer than 3 trainings" in capfd.readouterr().err


@pytest.mark.slow
def test_the_demo_model_proves_two_recipes_in_one_table(recipe, tmp_path, capfd) -> None:
    (tmp_path / "other.yaml").write_text(RECIPE.replace("name: tiny", "name: other"))
    how = [f"engines.trainer.{text}" for text in ("use=trainer", "epochs=1", "max_model_len=64")]
    sets = [part for text in (*how, "seeds.limit=16") for part in ("--set", text)]
    command = ["prove", "tiny.yaml", "other.yaml", "--seeds", "3", "--held-out", "6", *sets]
    assert main([*command, "--json", "--quiet"]) == 0
    first, second = json.loads(capfd.readouterr().out)["lines"]
    assert [first["recipe"], second["recipe"]] == ["tiny", "other"]
    assert first["arms"] == second["arms"], "equal rows are trained on once"
    assert 0 < first["arms"]["everything"]["loss"] < first["before"]
    for line in (first, second):
        text = (tmp_path / "runs" / line["run"] / "dataset" / "README.md").read_text()
        assert text.count("| `tiny` |") == text.count("| `other` |") == 1
