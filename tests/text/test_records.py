from collections import Counter

import pytest

from gristmill.text.record_fields import label_flaw, labels, one_of, phrase, usable
from gristmill.text.record_tasks import Task, checked, tasks_in


def test_ids_are_told_by_whole_names_and_last_parts() -> None:
    fields = ["id", "ID", "user_id", "sample-idx", "uuid", "video_title", "idea", "paid", "x_ids"]
    found = usable(dict.fromkeys(fields, "x"), 10)
    assert list(found) == ["video_title", "idea", "paid"]


def test_nothing_nested_and_nothing_empty_is_usable() -> None:
    record = {"a": None, "b": "", "c": [], "d": {"x": 1}, "e": [{"x": 1}], "f": ["x"], "g": 0}
    assert usable(record, 10) == {"f": ["x"], "g": 0}
    assert usable({"a": " ", "b": "<br>", "c": ["", None], "d": ["<i>abc</i>", ""]}, 2) == {
        "d": ["ab", ""]
    }
    assert usable({"t": "<p>Hi <b>you</b></p> 1 < 2 > 0 and so on"}, 14) == {"t": "Hi you 1 < 2 >"}


def test_inputs_are_values_or_phrases() -> None:
    record = {"text": "Hi.", "n": 3, "choices": ["yes", "no"], "tags": ["a", "b"]}
    assert phrase(record, ["text"]) == "Hi."
    assert phrase(record, ["text", "n"]) == "The text is Hi.. The n is 3."
    assert phrase(record, ["choices"]) == "A) yes B) no"
    assert phrase(record, ["tags"]) == "a, b"


@pytest.mark.parametrize(
    ("counts", "flaw"),
    [
        ({"yes": 80, "no": 20}, "skewed_labels"),
        ({"yes": 70, "no": 30}, None),
        ({"yes": 60, "no": 40}, None),
        ({"a": 51, "b": 30, "c": 19}, "skewed_labels"),
        ({"a": 50, "b": 31, "c": 19}, None),
        ({"yes": 100}, "skewed_labels"),
    ],
)
def test_labels_are_skewed_above_the_published_shares(counts, flaw) -> None:
    values = [label for label, n in counts.items() for _ in range(n)]
    found = label_flaw("Choose.", values, labels(values))
    assert (found and found[0]) == flaw


def test_an_instruction_must_not_have_one_of_the_labels() -> None:
    counts = Counter({"positive": 60, "negative": 40})
    assert label_flaw("Is this positive review long?", [], counts) == ("leaks_label", "positive")
    assert label_flaw("Is it positive or negative?", [], counts) is None
    assert label_flaw("Is it a positively long one?", [], counts) is None
    assert label_flaw("Split it.", [["a"]], Counter()) == ("nested_output", "a list")


def test_short_labels_are_named_and_free_text_has_none() -> None:
    assert one_of(Counter({"b": 1, "a": 2})) == " Reply with one of: a, b."
    assert one_of(Counter({"b" * 16: 1, "a": 2})) == ""
    assert one_of(Counter({"b" * 15: 1})) != ""
    assert labels(["a", "b"] * 9) == {}, "too few values to say"
    assert labels(["a", "b"] * 10) == {"a": 10, "b": 10}
    assert labels([str(i % 11) for i in range(100)]) == {}


GOOD = {"instruction": "Say it.", "input_fields": ["text"], "output_field": ["label"]}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, Task("Say it.", ("text",), "label")),
        ({"input_fields": "text", "output_field": "label"}, Task("Say it.", ("text",), "label")),
        ({"output_field": []}, "no_output_field"),
        ({"output_field": ["label", "n"]}, "no_output_field"),
        ({"output_field": None}, "no_output_field"),
        ({"output_field": ["other"]}, "unknown_field"),
        ({"input_fields": []}, "unknown_field"),
        ({"input_fields": ["text", "label"]}, "input_is_output"),
        ({"instruction": ""}, "bad_json"),
        ({"instruction": 3}, "bad_json"),
    ],
)
def test_a_task_is_over_known_fields(changes, found) -> None:
    assert checked({**GOOD, **changes}, ["text", "label", "n"], [], []) == found


def test_a_task_counts_once() -> None:
    names, same = ["text", "label", "n"], [Task("Say it.", ("text",), "label")]
    assert checked(GOOD, names, same, []) == checked(GOOD, names, [], same) == "repeated"
    assert checked("text", ["text"], [], []) == "bad_json"


def test_an_instruction_stands_once_in_a_reply_whatever_its_fields() -> None:
    names, other = ["text", "label", "n"], [Task("Say it.", ("n",), "label")]
    assert checked(GOOD, names, other, []) == "repeated"
    assert checked(GOOD, names, [], other) == Task("Say it.", ("text",), "label")


def test_tasks_are_read_by_whatever_keys_they_have() -> None:
    assert tasks_in('So:\n{"b": {"instruction": "x"}, "task1": 3} Done.') == [
        {"instruction": "x"}, 3,
    ]  # fmt: skip
    assert tasks_in('{"instruction": "x"}') == [{"instruction": "x"}]
    assert tasks_in("none") == ["none"]
    assert tasks_in("{'a': {}}") == ["{'a': {}}"]
    assert tasks_in("{}") == ["{}"]
