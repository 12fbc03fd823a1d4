"""The search of P-Aligner, by the worked numbers of its sheet."""

from math import log, sqrt

import pytest

from gristmill.text.monte_carlo import Node, descend, grow

C = 0.1


def test_three_actions_are_tried_before_anything_is_grown_further() -> None:
    root = Node("raw")
    for name, mean in (("A", 0.10), ("B", 0.20), ("C", 0.30)):
        assert descend(root, 3, C) is root
        grow(root, name, name, mean)
    assert (len(root.children), root.visits, root.reward) == (3, 3, 0.30)


def test_the_worked_search_of_the_sheet() -> None:
    root = Node("raw")
    a, b, c = (grow(root, x, x, mean) for x, mean in (("A", 0.1), ("B", 0.2), ("C", 0.3)))
    assert C * sqrt(log(root.visits) / c.visits) == pytest.approx(0.1048, abs=1e-4)
    assert descend(root, 3, C) is c
    under = grow(c, "CA", "A", 0.05)
    assert (c.value, c.visits, c.reward) == (pytest.approx(0.175), 2, 0.3)
    scores = [one.value + C * sqrt(log(root.visits) / one.visits) for one in (a, b, c)]
    assert scores == pytest.approx([0.2177, 0.3177, 0.2583], abs=1e-4)
    assert descend(root, 3, C) is b
    grow(b, "BA", "A", 0.10)
    assert (root.visits, root.reward, b.reward) == (5, 0.30, 0.2)
    assert [one.text for one in under.path()] == ["raw", "C", "CA"]
    root.mean = 0.4
    assert root.value == pytest.approx((0.4 + 0.1 + (0.2 + 0.1) / 2 + 0.175) / 4)


def test_much_exploring_goes_where_nobody_went_and_equals_go_in_order() -> None:
    root = Node("raw")
    a, b = (grow(root, x, x, 0.2) for x in "AB")
    assert descend(root, 2, C) is a
    grow(a, "AA", "A", 0.2)
    assert descend(root, 2, C) is b
    grow(b, "BA", "A", 0.1)
    grow(a, "AB", "B", 0.9)
    assert descend(root, 2, 0.0) is a.children[1]
    assert descend(root, 2, 9.0) is b
