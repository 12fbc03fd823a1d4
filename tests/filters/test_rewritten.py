import pytest

from gristmill.filters.rewritten import Rewritten
from gristmill.pipelines import Drop

BEFORE = "Name a river that is longer than 500 kilometres."


def judged(after: str | None, before: str | None = BEFORE, **changes: object) -> Drop | None:
    return (
        Rewritten(made_from="parent", **changes)({"instruction": after, "parent": before}) or None
    )


@pytest.mark.parametrize(
    ("after", "wanted"),
    [
        (
            "name a RIVER that is longer than 500 kilometres",
            Drop("no_gain", "ROUGE-L 1.00 with parent"),
        ),
        ("Name one river that is longer than 500 kilometres.", None),
        ("Name a lake.", None),
        ("word " * 37, Drop("overgrown", "37 words of 9")),
        ("word " * 36, None),
        (None, None),
        ("", None),
    ],
)
def test_every_fault_has_its_code_and_evidence(after, wanted) -> None:
    assert judged(after) == wanted


def test_a_rewrite_with_nearly_the_same_words_brings_nothing_new() -> None:
    assert (
        judged("Name one river that is longer than 500 kilometres.", max_rouge=0.88).code
        == "no_gain"
    )


def test_a_fault_can_be_none() -> None:
    assert judged(BEFORE, skip=("no_gain",)) is None
    assert judged("word " * 37, skip=("no_gain",)).code == "overgrown"
    assert judged("word " * 37, skip=("overgrown",)) is None


def test_what_must_be_kept_is_looked_for_on_request() -> None:
    assert judged("Nenne einen langen Fluss.") is None
    assert judged("Nenne einen langen Fluss.", keeps_facts=True) == Drop("lost_facts", "500")


def test_a_row_that_was_made_from_nothing_stays() -> None:
    assert judged("Name a lake.", before=None) is None
