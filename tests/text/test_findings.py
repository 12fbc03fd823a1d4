"""Findings: keywords that give nothing away, names made short, and what stands in a text."""

import random

import pytest

from gristmill.text.findings import Relation, contracted, coverage, keywords, varied

PAIRS = [
    ("Gentiana montana", "amarin"),
    ("Gentiana montana", "rubrin"),
    ("Cladina alba", "albic acid"),
]


def test_keywords_are_voted_for_and_never_like_a_name() -> None:
    replies = [
        "Natural products\n2. root extract\namarins",
        "- natural products, antifungal activity",
        "antifungal  activity; anti-yeast; amarin A; novel terpenes",
        "Natural products",
    ]
    assert keywords(replies, ["amarin", "Gentiana montana"], 10) == [
        "natural products", "antifungal activity", "root extract",
    ]  # fmt: skip
    assert keywords(replies, [], 1) == ["natural products"]
    assert keywords([" ", "\n,;"], [], 5) == []


@pytest.mark.parametrize(
    ("names", "shorter"),
    [
        (["amine A", "amine B", "amine C"], ["amines A-C"]),
        (["amine 9", "amine 10", "amine 11", "x"], ["amines 9-11", "x"]),
        (["amine A", "amine B"], ["amine A", "amine B"]),
        (["amine A", "amine C", "amine D"], ["amine A", "amine C", "amine D"]),
        (["amine A", "olide B", "olide C"], ["amine A", "olide B", "olide C"]),
        (["amine A", "amine B", "amine 3"], ["amine A", "amine B", "amine 3"]),
        ([], []),
    ],
)
def test_three_derivatives_in_a_row_are_one(names, shorter) -> None:
    assert [*contracted(names)] == shorter


def test_a_class_stands_for_its_compounds_at_a_rate() -> None:
    known = [Relation("A b", f"{name} 1", "terpenes") for name in ("x", "y")]
    known += [Relation("A b", "z", "oils"), Relation("C d", "z", "oils")]
    kinds = [varied(known, random.Random(i), 0.2).pairs for i in range(300)]
    n = sum(("A b", "terpenes") in pairs for pairs in kinds)
    assert 35 < n < 90
    assert all(
        {label for _, label in pairs} in ({"terpenes", "z"}, {"x 1", "y 1", "z"}) for pairs in kinds
    )
    never = varied(known, random.Random(0), 0.0)
    assert sorted(never.pairs) == [("A b", "x 1"), ("A b", "y 1"), ("A b", "z"), ("C d", "z")]
    assert coverage(never.findings, never.pairs) == 1
    assert {varied(known, random.Random(i), 1.0).temperature for i in range(99)} == {
        i / 10 for i in range(11)
    }
    assert len({varied(known, random.Random(i), 0.0).findings for i in range(30)}) > 5


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("Amarin and rubrin came from Gentiana montana, albic acid from C. alba.", 1.0),
        ("G. montana has amarin and rubrin.", 2 / 3),
        ("G. montana has amarins and rubrin-2; Cladina alba has Albic Acid.", 1 / 3),
        ("Gentiana alba has amarin.", 0.0),
        ("", 0.0),
    ],
)
def test_coverage_counts_pairs_of_whole_names(text, rate) -> None:
    assert coverage(text, PAIRS) == pytest.approx(rate)


def test_names_are_no_patterns() -> None:
    assert coverage("x has (+)-a[1] (x", [("x", "(+)-a[1]"), ("x", "(x")]) == 1
