"""Trees of utterances: what is merged, explored and paired."""

import random

import pytest

from gristmill.text.dialogue_tree import (
    Node,
    Utterance,
    agreed,
    apart,
    explored,
    final_answer,
    percentile,
    ranked,
    seen,
)


def run(*texts: str) -> list[Utterance]:
    return [Utterance(text, 1) for text in texts]


def grown(*runs: tuple[list[str], float]) -> Node:
    root = Node(Utterance("task", 0))
    for texts, reward in runs:
        root.add(run(*texts), reward)
    return root


def test_utterances_that_hardly_differ_are_one() -> None:
    assert apart("The answer is 4.", "The answer is 4!") == pytest.approx(1 / 16)
    root = grown((["The answer is 4.", "yes"], 1.0), (["The answer is 4!", "nooo"], 0.0))
    (child,) = root.children
    assert (child.value, child.visits, len(child.children)) == (0.5, 2, 2)
    assert [node.said.text for node in root.walk()] == ["task", "The answer is 4.", "yes", "nooo"]
    assert [one.text for one in child.children[1].path()] == ["The answer is 4.", "nooo"]


def test_a_run_from_inside_counts_for_all_above_it() -> None:
    root = grown((["aaaa", "bbbb"], 1.0))
    root.children[0].add(run("cccc"), 0.0)
    assert (root.value, root.children[0].value) == (0.5, 0.5)
    assert [kid.value for kid in root.children[0].children] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("values", "limits", "gaps"),
    [
        ((0.9, 0.3), (0.15, 0.3), [0.6]),
        ((0.40, 0.05), (0.45, 0.2), []),
        ((0.5, 0.3), (0.15, 0.3), []),
        ((0.9,), (0.15, 0.3), []),
    ],
)
def test_the_best_and_the_worst_child_are_a_pair(values, limits, gaps) -> None:
    tree = grown(*[([x * 4], v) for x, v in zip("abc", values, strict=False)])
    found = ranked(tree, *limits)
    assert [best.value - worst.value for best, worst in found] == pytest.approx(gaps)


def test_half_of_the_pairs_stay_the_best_first() -> None:
    runs = [([x * 4, y * 9], v) for x, top in zip("abc", (0.9, 0.8, 0.7), strict=True)
            for y, v in (("p", top), ("q", top - 0.5))]  # fmt: skip
    found = ranked(grown(*runs, (["dddd"], 0.0)), 0.15, 0.3)
    assert len(found) == 2, "of four: three below the first turns, one of the first turns"
    assert [best.value for best, _ in found] == pytest.approx([0.9, 0.8])
    assert len(ranked(grown((["aaaa"], 1.0), (["bbbb"], 0.0)), 0.15, 0.3)) == 1


def test_a_node_with_grandchildren_is_explored_once() -> None:
    root = grown((["aaaa", "bbbb", "cccc", "dddd"], 1.0), (["eeee", "ffff"], 0.5))
    first = root.children[0]
    rng = random.Random(0)
    drawn = {explored(root, [], rng) for _ in range(50)}
    assert drawn == {root, first, first.children[0]}
    assert explored(root, [root, first.children[0]], rng) is first
    assert explored(root, [root, first, first.children[0]], rng) is root, "none is left"
    root.add(run("xxxx", "aaab", "zzzz", "yyyy"), 1.0)
    alike = root.children[2].children[0]
    assert apart(alike.said.text, first.said.text) == 0.25
    assert explored(root, [root, first, first.children[0], root.children[2]], rng) is alike


def test_what_is_worth_more_is_explored_more_often() -> None:
    root = grown((["aaaa", "bbbb", "cccc"], 3.0), (["eeee", "ffff", "gggg"], 0.0))
    rng = random.Random(1)
    drawn = [explored(root, [root], rng).said.text for _ in range(400)]
    # e^3 : e^0 = 20 : 1
    assert 360 < drawn.count("aaaa") < 396


def test_only_the_ten_of_most_value_are_explored() -> None:
    names = [letter * 8 for letter in "abcdefghijkl"]
    root = grown(*(([name, "x", "y"], i / 100) for i, name in enumerate(names)))
    rng = random.Random(0)
    drawn = {explored(root, [root], rng).said.text for _ in range(300)}
    assert drawn == {*names[2:]}


def test_both_have_to_give_the_same_answer() -> None:
    assert final_answer("I think so.\n**Final answer:** Port Ellis\n") == "Port Ellis"
    assert final_answer("The final answer: x") == ""
    same = run("Final answer: the mill", "Yes.\nfinal answer: Mill.")
    assert agreed(same)
    assert not agreed(same[:1])
    assert not agreed([*same, *run("Wait.")])
    assert not agreed(run("x", "y"))


def test_a_party_sees_its_own_turns_as_its_answers() -> None:
    assert seen(["A", "B"], run("one", "two"), "Alice") == [
        ("user", "A"), ("assistant", "one"), ("user", "two"),
    ]  # fmt: skip
    assert seen(["A", "B"], run("one", "two", "three"), "Alice") == [
        ("user", "B\nAlice: one"), ("assistant", "two"), ("user", "three"),
    ]  # fmt: skip


def test_the_percentile_is_a_count_that_is_there() -> None:
    assert percentile([*range(1, 101)], 85) == 85
    assert percentile([7], 85) == 7
    assert percentile([3, 9, 5], 85) == 9
    assert percentile([], 85) == 0
