import json
import pickle

import pytest

from gristmill import Recipe, run
from gristmill.errors import InputError
from gristmill.filters.corrected import Corrected
from gristmill.pipelines import Drop
from gristmill.text.picture_questions import about

ROW = {"id": "a", "instruction": "Which animal is it?", "input": None, "output": "A black cat."}
RIGHT = {"id": "a", "instruction": "Which animal is it?", "output": "A small black dog."}


@pytest.fixture
def stage(tmp_path):
    def make(*lines: object, **changes: object) -> Corrected:
        path = tmp_path / "corrected.jsonl"
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        return Corrected(**{"corrections": (str(path),), **changes})

    return make


def test_what_people_wrote_takes_the_place_and_says_how_far_it_is(stage) -> None:
    assert stage(RIGHT)(ROW) == {
        "instruction": "Which animal is it?", "input": None, "output": "A small black dog.",
        "messages": None, "reviewed": True, "edit_distance": 3,
    }  # fmt: skip
    assert stage(RIGHT)({**ROW, "id": "b"}) == {}


def test_what_was_right_keeps_its_verdicts(stage) -> None:
    same = stage({**RIGHT, "output": "A black cat."})(ROW)
    assert same == {"reviewed": True, "edit_distance": 0}


def test_what_they_rejected_leaves_with_their_reason(stage) -> None:
    assert stage({"id": "a", "rejected": "There is no cat."})(ROW) == Drop(
        "reviewed", "There is no cat."
    )


def test_a_picture_stays_in_the_turn_that_was_corrected(stage) -> None:
    row = {**ROW, "messages": about("cat.png", ROW["instruction"], ROW["output"])}
    new = {**RIGHT, "instruction": "Which animal {sleeps}?"}
    turns = stage(new)(row)["messages"]
    assert turns == about("cat.png", new["instruction"], new["output"])


def test_a_conversation_is_not_corrected_by_its_first_turn(stage) -> None:
    turns = about("cat.png", "Is it a cat?", "Yes.")
    with pytest.raises(ValueError, match="several turns"):
        stage(RIGHT)({**ROW, "messages": [*turns, *turns]})


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([{**RIGHT, "output": " "}], "line 1: expected id, and instruction and output or rejected"),
        ([{"id": "a"}], "line 1: expected id"),
        ([{**RIGHT, "id": None}], "line 1: expected id"),
        ([{"id": "a", "rejected": 1}], "line 1: expected id"),
        ([RIGHT, {"id": "a", "rejected": "No."}], "line 2: the id a was there before"),
    ],
)
def test_a_file_that_says_too_little_is_refused(stage, lines, message) -> None:
    with pytest.raises(InputError, match=message):
        stage(*lines)


def test_files_are_pinned_and_found_from_anywhere(stage, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = stage(RIGHT, corrections=("corrected.jsonl",))
    with pytest.raises(InputError, match="expected 000000000000"):
        stage(RIGHT, pin="0" * 12)
    monkeypatch.chdir("/")
    assert pickle.loads(pickle.dumps(made))(ROW)["edit_distance"] == 3


def test_a_second_run_takes_corrections_by_the_ids_of_the_first(tmp_path) -> None:
    rows = [{"instruction": f"Name the number {i}.", "output": f"Number {i}."} for i in range(3)]
    length = {"use": "filters.length"}

    def made(*more: object) -> list[dict[str, object]]:
        recipe = Recipe(name="mine", stages=[length, *more])
        return run(recipe, rows, workspace=tmp_path).dataset.to_pylist()

    first = made()
    path = tmp_path / "read.jsonl"
    read = [
        {"id": first[0]["id"], "instruction": "Name zero.", "output": "Zero."},
        {"id": first[1]["id"], "rejected": "Twice."},
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in read))
    second = {
        row["id"]: row for row in made({"use": "filters.corrected", "corrections": [str(path)]})
    }
    assert first[1]["id"] not in second
    assert second[first[0]["id"]]["output"] == "Zero."
    assert second[first[2]["id"]]["output"] == first[2]["output"]
