import ast
import json
import random
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml
from demo_model import acting, corpus, problems, shown, tasks, testing
from demo_model.mixes import MIXES
from demo_model.syntax import concepts_of, is_held_out, tree_hash
from demo_model.templates import RETRAIN, templates
from demo_yield import trained

import gristmill
from gristmill.engines.sandbox import Program, Sandbox
from gristmill.text.interpreter_steps import observed
from gristmill.text.number_slots import Problem, align

SHIPPED = Path(gristmill.__file__).parent / "models" / "demo"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(2) as sandbox:
        yield sandbox


def front() -> dict[str, Any]:
    _, head, _ = (SHIPPED / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(head)["gristmill"]
    return found


def test_the_model_was_trained_on_the_prompts_that_the_demo_recipes_send() -> None:
    known, now = front()["templates"], templates()
    changed = sorted(name for name in known | now if known.get(name) != now.get(name))
    assert not changed, f"the demo model does not know {changed}; train it again: {RETRAIN}"


def test_a_changed_prompt_has_another_hash(monkeypatch) -> None:
    from gristmill.generators import evol_instruct, self_code_align

    before = templates()
    form = self_code_align.RESPONSE._replace(system="Solve it.")
    monkeypatch.setattr(self_code_align, "RESPONSE", form)
    monkeypatch.setitem(evol_instruct.TEMPLATES, "breadth", "Another {instruction}")
    changed = {name for name, text in templates().items() if before[name] != text}
    assert changed == {"self_code_align.tests", "evol_instruct.breadth"}


def test_the_card_adds_up_what_several_trainings_took() -> None:
    from demo_model.training import PHASES
    from train_demo import card, continued, told

    info = told(SHIPPED)
    assert info["phases"] == len(PHASES)
    assert info["steps"] == sum(phase.steps for phase in PHASES)
    longer = card({**continued(info, info), "phases": 10})
    assert "{" not in longer
    assert f"{2 * info['steps']} steps" in longer


def test_the_shipped_model_keeps_its_size() -> None:
    assert 3_000_000 <= front()["trained"]["parameters"] <= 4_000_000
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 20_000_000
    assert json.loads((SHIPPED / "config.json").read_text())["max_position_embeddings"] == 1024


def test_digits_are_single_tokens_and_prompts_end_at_a_token() -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(SHIPPED / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == 1024
    assert tokenizer.encode("x = 1234").tokens[-4:] == ["1", "2", "3", "4"]
    for document, _ in islice(corpus.documents(3), 50):
        asked = "".join(text for text, weight in document if weight < 1)
        whole = "".join(text for text, _ in document)
        if whole.startswith(asked) and asked:
            ids = tokenizer.encode(asked).ids
            assert tokenizer.encode(whole).ids[: len(ids)] == ids


def test_no_program_that_is_held_out_was_trained_on() -> None:
    names = trained()
    assert len(names) == front()["trained"]["programs"] > 5_000
    assert not any(map(is_held_out, names))


def test_the_same_seed_gives_the_same_corpus() -> None:
    first = list(islice(corpus.documents(5), 200))
    assert first == list(islice(corpus.documents(5), 200))
    assert first != list(islice(corpus.documents(6), 200))


def test_every_composed_task_passes_its_own_tests() -> None:
    rng, families = random.Random(0), set()
    for _ in range(2_000):
        task = tasks.compose(rng)
        families.add(task.family)
        assert "assert" in task.tests
        exec(f"{task.code}\n{task.tests}", {})
    assert len(families) >= 90  # of all but those whose few programs are all held out


@pytest.mark.parametrize("held_out", [True, False])
def test_held_out_tasks_can_be_drawn_apart(held_out: bool) -> None:
    rng = random.Random(1)
    drawn = [tasks.compose(rng, held_out=held_out) for _ in range(50)]
    assert {is_held_out(task.tree) for task in drawn} == {held_out}


def test_names_docstrings_and_annotations_do_not_make_another_program() -> None:
    plain = "def f(values):\n    return [x for x in values if x > 3]"
    other = 'def g(a: list) -> list:\n    """Keep."""\n    return [y for y in a if y > 3]'
    assert tree_hash(plain) == tree_hash(other)
    assert tree_hash(plain) != tree_hash(plain.replace("3", "4"))
    assert tree_hash(plain, constants=False) == tree_hash(plain.replace("3", "4"), constants=False)
    assert tree_hash(plain) != tree_hash(plain.replace("x > 3", "x >= 3"))


def test_concepts_are_read_off_the_syntax() -> None:
    assert concepts_of("def f(s):\n    for x in sorted(s):\n        yield x % 2") == [
        "loops",
        "generators",
        "modular arithmetic",
        "sorting",
    ]


def test_later_phases_draw_other_prompts_and_no_program_held_out() -> None:
    drawn = list(islice(corpus.documents(4, MIXES["known words"]), 200))
    assert drawn == list(islice(corpus.documents(4, MIXES["known words"]), 200))
    starts = {document[0][0] for document, _ in drawn}
    assert any(start.startswith("<|system|>\nSolve a task in turns") for start in starts)
    assert not any(is_held_out(tree) for _, tree in drawn if tree)


@pytest.mark.parametrize("episode", [acting.episode, problems.episode])
def test_what_the_interpreter_shows_in_an_episode_is_what_the_sandbox_shows(
    episode, sandbox
) -> None:
    for seed in range(5):
        text = "".join(part for part, _ in episode(random.Random(seed))[0]).split("<|user|>")[1:]
        ran = re.findall(r"(?s)<execute>\n(.*?)\n</execute>", "".join(text))
        seen = [re.findall(r"(?s)Observation: (.*?)\n\(\d turns", part)[0] for part in text[1:]]
        (verdict,) = sandbox.run_all([Program("", cells=tuple(ran))])
        assert [observed(cell) for cell in verdict.cells] == seen[: len(ran)]


def test_a_repair_is_told_what_the_sandbox_says(sandbox) -> None:
    for seed in range(8):
        asked = testing.repair(random.Random(seed))[0][0][0]
        if "expected {" in asked:  # the sandbox sorts what a dictionary holds
            continue
        tests, code, said = re.findall(
            r"(?s)### Tests\n(.*?)\n\n### Code\n(.*?)\n\n### What happened\n(.*?)\n\n### C", asked
        )[0]
        (verdict,) = sandbox.run_all([Program(code, tests)])
        assert f"{verdict.status}: {verdict.detail}\n{verdict.stderr}" == said


def test_problems_in_the_words_of_the_seeds_never_are_a_seed(monkeypatch) -> None:
    rng = random.Random(0)
    worded = [problems.drawn(rng, near=True) for _ in range(4_000)]
    known = {one.problem.template for one in worded}
    for seed in problems.SEEDS:
        assert any(isinstance(align(one, seed), Problem) for one in known), seed
    first, *others = (one.question for one in worded)
    monkeypatch.setattr(problems, "SEEDS", {first})
    assert problems.drawn(random.Random(0), near=True).question == others[0]


@pytest.mark.parametrize("near", [False, True])
def test_every_way_to_solve_a_word_problem_gives_one_answer(near: bool) -> None:
    rng = random.Random(0)
    for _ in range(300):
        worded, space = problems.drawn(rng, near=near), dict[str, Any]()
        exec(problems._solve(rng, worded), space)
        wholes = [eval(worded.filled(whole)) for whole in worded.kind["wholes"]]
        assert [*wholes, space["solve"](**worded.values)] == pytest.approx(
            [wholes[0]] * (len(wholes) + 1)
        )


@pytest.mark.parametrize("enough", [True, False])
def test_a_docstring_under_review_says_what_its_function_does_or_does_not(enough: bool) -> None:
    for seed in range(100):
        code, tree = shown.reviewed(random.Random(seed), enough=enough)
        rng = random.Random(seed)
        does = tasks.compose(rng, rng.choice(("function", "package", "program"))).does
        said = (ast.get_docstring(ast.parse(code).body[-1]) or "").lower()
        assert tree_hash(code) == tree
        assert not is_held_out(tree)
        assert (does.partition(" ")[2].lower() in said) == enough, (does, code)


def test_threads_answer_every_example_and_learn_our_own() -> None:
    for maker in (shown.review, shown.concepts, shown.instructions):
        for seed in range(10):
            document, trees = maker(random.Random(seed))
            text = "".join(part for part, _ in document)
            last = re.findall(r"### Example (\d+)", text)[-1]
            shots = document[0][0].count("### Example")
            assert document[0][1] == 0
            assert sum(weight >= 1 for _, weight in document) == 2 * (int(last) - shots)
            assert not any(map(is_held_out, (trees or "").split()))
            assert len(text) < 2 * shown.MAX_CHARS


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_in_one_training_or_two(tmp_path: Path) -> None:
    from demo_model.training import SEED, Phase, train

    phases = [Phase(2, SEED, 0.015, 1, 1), Phase(1, SEED + 1, 0.008, 1, 1, mix="short tests")]
    train(tmp_path / "one", phases, fused=False)
    train(tmp_path / "first", phases[:1], fused=False)
    train(tmp_path / "other", phases[1:], fused=False, start=tmp_path / "first")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes(), path.name
