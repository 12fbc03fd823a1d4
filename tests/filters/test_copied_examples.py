import json
import pickle

import pytest

from gristmill.errors import InputError
from gristmill.filters.copied_examples import CopiedExamples
from gristmill.pipelines import Drop

TREE = "Write a function that plants a tree in every second row of the garden and waters it."


@pytest.fixture
def stage(tmp_path):
    path = tmp_path / "examples.jsonl"
    lines = [{"ask": "Name a long river of Asia."}, {"turns": [{"text": TREE}], "kind": "code"}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def make(**changes) -> CopiedExamples:
        return CopiedExamples(**{"examples": str(path), **changes})

    return make


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        ("Name a long river of Asia!", "examples.jsonl line 1: name a long river of asia"),
        ("Name a long river of Africa.", "examples.jsonl line 1: ROUGE-L 0.83 of user"),
        (
            f"Here is more. {TREE} Then stop, and tell me at some length what else you can do.",
            "examples.jsonl line 2: write a function that plants a tree in every second row of the",
        ),
    ],
)
def test_a_copy_leaves_and_names_its_example(stage, said, detail) -> None:
    assert stage()({"instruction": said, "output": "Yes."}) == Drop("copied_example", detail)


def test_answers_are_compared_too_and_new_text_stays(stage) -> None:
    assert stage()({"instruction": "Go.", "output": TREE}).code == "copied_example"
    assert stage()({"instruction": "Name a tree.", "output": "code"}) == {}
    assert stage(max_rouge=0.9)({"instruction": "Name a long river of Africa."}) == {}


def test_of_a_pair_the_preferred_answer_is_compared(stage) -> None:
    pair = {"instruction": "Go.", "output": None, "chosen": "Yes.", "rejected": TREE}
    assert stage()(pair) == {}
    assert stage()({**pair, "chosen": TREE}).code == "copied_example"


def test_other_examples_are_another_stage_and_a_wrong_pin_an_error(stage, tmp_path) -> None:
    before = stage()
    assert stage(pin=before.pin) == before
    (tmp_path / "examples.jsonl").write_text('{"ask": "Name a short river of Asia."}\n')
    assert stage().pin != before.pin
    with pytest.raises(InputError, match=f"expected {before.pin}"):
        stage(pin=before.pin)


def test_a_file_that_is_not_there_is_an_error_of_the_examples(tmp_path) -> None:
    with pytest.raises(InputError, match=r"^examples: no file or folder"):
        CopiedExamples(examples=str(tmp_path / "none.jsonl"))
    assert len(CopiedExamples(examples="shipped:evol_instruct.seeds.jsonl").pin) == 12


def test_a_worker_that_starts_in_another_folder_finds_the_file(
    stage, tmp_path, monkeypatch
) -> None:
    stage()
    monkeypatch.chdir(tmp_path)
    sent = pickle.dumps(CopiedExamples(examples="examples.jsonl"))
    monkeypatch.chdir("/")
    assert pickle.loads(sent)({"instruction": TREE}).code == "copied_example"
