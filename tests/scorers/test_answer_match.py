import pytest

from gristmill.scorers.answer_match import AnswerMatch


@pytest.mark.parametrize(
    ("output", "reference", "exact", "f1"),
    [
        ("The Voss family.", "voss family", 1.0, 1.0),
        ("It was the Voss family", "Voss family", 0.0, 2 / 3),
        ("Nobody.", "Voss family", 0.0, 0.0),
        ("", "Voss family", 0.0, 0.0),
        ("yes yes", "yes", 0.0, 2 / 3),
        (None, "yes", 0.0, 0.0),
        ("-7", "7", 0.0, 0.0),
        ("-$7", "$7", 0.0, 0.0),
        ("\u2212$7.", "-7", 1.0, 1.0),
        ("5-7", "5 7", 1.0, 1.0),
        ("yes", None, None, None),
        ("the", "a", None, None),
    ],
)
def test_words_are_compared_as_bags(output, reference, exact, f1) -> None:
    found = AnswerMatch()({"output": output, "reference": reference})
    assert found == {"exact": exact, "f1": pytest.approx(f1) if f1 is not None else None}


def test_the_column_is_a_parameter() -> None:
    stage = AnswerMatch(reference="meta.robust_if.answer")
    assert stage.reads() == {"output", "meta.robust_if.answer"}
    assert stage({"output": "May", "meta.robust_if.answer": "in May"})["f1"] == 2 / 3
