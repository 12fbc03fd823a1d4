"""Abstracts that tell more than was found."""

import pytest

from gristmill.engines.requests import Completion
from gristmill.filters.invented_relations import InventedRelations
from gristmill.text.findings import Relation, listed_pairs, unsupported

FOUND = [
    Relation("Gentiana montana", "montanine A", "terpenes"),
    Relation("Gentiana montana", "amarin"),
    Relation("Cladina rubra", "rubrin"),
]
ROW = {
    "instruction": "List every pair.",
    "input": "Gentiana montana and Cladina rubra hold much.",
    "output": "Gentiana montana; montanines A-C\nGentiana montana; amarin\nCladina rubra; rubrin",
    "relations": [
        {"organism": one.organism, "chemical": one.chemical, "kind": one.kind} for one in FOUND
    ],
    "synonyms": ["mountain gentian"],
}


def test_an_abstract_that_tells_what_was_found_stays(ask, script) -> None:
    engine = script({"List every pair.": ["- G. montana; Amarin.\n- Cladina rubra; rubrin"]})
    assert ask(InventedRelations(), ROW, engine) == {"invented": []}
    assert engine.calls[0].prompt[0]["content"].endswith(ROW["input"])


def test_a_pair_that_nobody_found_is_invented(ask, script) -> None:
    said = "1. Gentiana montana; amarin\n2. Cladina rubra; amarin\n3. Cladina rubra; amarin"
    drop = ask(InventedRelations(), ROW, script({"": [said]}))
    assert (drop.code, drop.detail) == ("invented", "Cladina rubra; amarin")
    row = ask(InventedRelations(most=1), ROW, script({"": [said]}))
    assert row == {"invented": ["Cladina rubra; amarin"]}


@pytest.mark.parametrize(
    ("organism", "chemical", "is_known"),
    [
        ("G. montana", "Terpenes", True),
        ("Gentiana montana", "rubrin", False),
        ("mountain gentian", "amarin", True),
        ("mountain gentian", "salin", False),
        ("Gentiana montana", "Mountain gentian", True),
        ("Usnea", "mountain gentian", False),
        ("C. alba", "rubrin", False),
    ],
)
def test_names_are_compared_whole_by_any_of_their_forms(organism, chemical, is_known) -> None:
    found = unsupported([(organism, chemical)], FOUND, ["mountain gentian"])
    assert found == ([] if is_known else [f"{organism}; {chemical}"])


def test_what_the_row_tells_is_known_by_its_own_label(ask, script) -> None:
    engine = script({"": ["Gentiana montana; montanines A-C"]})
    assert ask(InventedRelations(), ROW, engine) == {"invented": []}


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (" ", "empty"),
        ("There are none.", "unparsed_judge"),
        ("I'm sorry, but I cannot help with that.", "unparsed_judge"),
        (Completion("Gentiana montana; ama", "length", 9, 512), "cut_off"),
    ],
)
def test_a_reply_without_whole_pairs_says_why(reply, code, ask, script) -> None:
    assert ask(InventedRelations(), ROW, script({"": [reply]})).code == code


def test_a_line_without_two_names_is_no_pair() -> None:
    assert listed_pairs("Pairs:\n; rubrin\n* A b; c d\nA b;\n 2) E f ; g.") == [
        ("A b", "c d"), ("E f", "g"),
    ]  # fmt: skip
