"""The order of requests: every one once, those that begin alike together, long answers first."""

import itertools
import random
from collections import OrderedDict, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.engines.planner import ENOUGH, KNOWN, Lengths, Waiting, plan
from gristmill.engines.prefixes import BLOCK, Node, build, common, grouped, shared
from gristmill.engines.requests import Choice, Completion, Generate, Sampling

TEXTS = st.lists(st.text("ab", max_size=6).map(lambda t: "".join(c * BLOCK for c in t)), max_size=8)
TOKEN = 4
"""Characters of a token."""


def ask(prompt: str, max_tokens: int = 8, draw: int = 0, stage: str = "") -> Generate:
    return Generate(prompt, Sampling(1.0, max_tokens=max_tokens), draw, stage=stage)


def made(n: int) -> Completion:
    return Completion("", "stop", 5, n)


def words(n: int, *seed: object) -> str:
    """Return n tokens of text that only this seed gives."""
    rng = random.Random(repr(seed))
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=n * TOKEN))


def questions() -> list[str]:
    """Return 640 prompts: 40 documents x 4 questions x 4 variants (inference.md D1)."""
    return [
        words(64, d) + words(32, d, q) + words(16, d, q, v)
        for d, q, v in itertools.product(range(40), range(4), range(4))
    ]


def hit_rate(texts: list[str], capacity: int) -> float:
    """Return the share of blocks of 16 tokens that a cache of so many blocks has already."""
    cache, hits, total = OrderedDict[str, None](), 0, 0
    for text in texts:
        ends = range(BLOCK, len(text) + 1, BLOCK)
        found = list(itertools.takewhile(lambda end, text=text: text[:end] in cache, ends))
        hits, total = hits + len(found), total + len(ends)
        for end in ends:
            cache[text[:end]] = None
            cache.move_to_end(text[:end])
        while len(cache) > capacity:
            cache.popitem(last=False)
    return hits / total


def nodes(root: Node) -> list[Node]:
    return [root, *(inner for child in root.children for inner in nodes(child))]


def least(root: Node, sizes: list[int]) -> int:
    """Try every choice of nodes that begin a group."""

    def processed(node: Node, depth: int, chosen: set[int]) -> int:
        own = sum(sizes[i] - depth for i in node.leaves)
        for child in node.children:
            new = id(child) in chosen
            own += child.depth * new + processed(child, child.depth if new else depth, chosen)
        return own

    inner = list(map(id, nodes(root)[1:]))
    choices = itertools.product([False, True], repeat=len(inner))
    return min(processed(root, 0, set(itertools.compress(inner, choice))) for choice in choices)


@given(st.text("ab"), st.text("ab"))
def test_what_two_texts_have_in_common(a: str, b: str) -> None:
    n = common(a, b)
    assert a[:n] == b[:n]
    assert n == min(len(a), len(b)) or a[n] != b[n]
    assert shared([a, b], 4) == [0, common(a, b) // 4 * 4]


@given(TEXTS)
def test_the_tree_holds_every_text_below_what_it_shares(texts: list[str]) -> None:
    texts = sorted(texts)
    every = nodes(build(shared(texts)))
    assert sorted(i for node in every for i in node.leaves) == list(range(len(texts)))
    for node in every:
        for child in node.children:
            assert child.depth > node.depth
            held = {texts[i][: child.depth] for inner in nodes(child) for i in inner.leaves}
            assert len(held) == 1


@given(TEXTS)
def test_groups_process_as_little_as_any_choice_does(texts: list[str]) -> None:
    texts = sorted(texts)
    root, sizes = build(shared(texts)), list(map(len, texts))
    groups, processed = grouped(root, sizes)
    assert processed == least(root, sizes)
    assert sorted(i for group in groups for i in group.members) == list(range(len(texts)))
    assert processed == sum(
        group.depth + sum(sizes[i] - group.depth for i in group.members) for group in groups
    )
    for group in groups:
        assert len({texts[i][: group.depth] for i in group.members}) == 1


@given(TEXTS, st.randoms(use_true_random=False))
def test_a_plan_names_every_text_once_whatever_their_order(texts: list[str], rng) -> None:
    answers = [rng.randrange(9) for _ in texts]
    ordered = plan(texts, answers)
    assert sorted(i for i, _ in ordered) == list(range(len(texts)))
    assert all(texts[i].startswith(begins) for i, begins in ordered)
    other = list(range(len(texts)))
    rng.shuffle(other)
    again = plan([texts[i] for i in other], [answers[i] for i in other])
    if len(set(texts)) == len(texts):
        assert [(other[i], begins) for i, begins in again] == ordered


@given(TEXTS)
def test_planned_order_saves_what_the_tree_allows(texts: list[str]) -> None:
    ordered = [texts[i] for i, _ in plan(texts, [1] * len(texts))]
    assert sum(shared(ordered)) == sum(shared(sorted(texts)))


def test_a_small_cache_reaches_the_optimum_in_planned_order() -> None:
    texts = questions()
    random.Random(7).shuffle(texts)
    planned = [texts[i] for i, _ in plan(texts, [8] * len(texts))]
    assert hit_rate(planned, 8) == pytest.approx(0.75)
    assert hit_rate(texts, 280) == pytest.approx(0.47, abs=0.03)


def test_where_answers_are_long_for_the_prompt_comes_first() -> None:
    short = [words(64, "s") + words(4, "s", i) for i in range(3)]
    long = [words(64, "l") + words(4, "l", i) for i in range(3)]
    for answers in ([1, 1, 1, 99, 99, 99], [99, 99, 99, 1, 1, 1]):
        first = [i for i, _ in plan(short + long, answers)][:3]
        assert {answers[i] for i in first} == {99}


def test_the_length_of_an_answer_is_learnt_per_template() -> None:
    lengths, request = Lengths(), ask("Judge this: a", 100)
    assert lengths.estimate([request, Choice("Judge", ("a", "b"))]) == [100, 1]
    for n in range(1, 11):
        lengths.learn(request, Completion("", "stop", 5, n))
    lengths.learn(request, "no answer at all")
    assert lengths.estimate([request, ask("Judge this: a", 50)]) == [10, 50]


def test_a_stage_whose_prompts_all_begin_otherwise_is_known_by_its_own_answers() -> None:
    lengths = Lengths()
    for i in range(20 * KNOWN):
        lengths.learn(ask(f"{i} is what this row asks", 100, stage="long"), made(70))
        lengths.learn(ask("Judge this: a", 100, stage="judge"), made(3))
    assert len(lengths) <= KNOWN, "a row's own words are no template: they would be a million"
    new = [ask("never seen", 100, stage="long"), ask("Judge this: b", 100, stage="judge")]
    assert lengths.estimate(new) == [70, 3]
    assert lengths.estimate([ask("never seen", 100, stage="other")]) == [100]


def test_two_templates_of_one_stage_are_known_apart_once_each_came_often() -> None:
    lengths = Lengths()
    evolve = "Evolve it into something that is rarer than it was: "
    answer = "Answer it as a person would who knows it very well: "
    for i in range(100):
        lengths.learn(ask(f"{answer}{i}", 100, stage="evol"), made(5))
    for i in range(ENOUGH):
        asked = [ask(f"{begins}new", 100, stage="evol") for begins in (evolve, answer)]
        assert lengths.estimate(asked) == [5, 5], i
        lengths.learn(ask(f"{evolve}{i}", 100, stage="evol"), made(80))
    assert lengths.estimate(asked) == [80, 5]


def test_the_stage_that_asks_changes_no_answer() -> None:
    assert ask("a", stage="one").key("e") == ask("a", stage="two").key("e") == ask("a").key("e")
    assert ask("a", stage="one") == ask("a", stage="two")


@given(
    TEXTS,
    st.integers(1, 3),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 5), st.integers(0, 4)), max_size=12),
)
def test_every_request_leaves_once(texts, engines, is_planned, steps) -> None:
    waiting: Waiting[int] = Waiting(engines, is_planned=is_planned)
    numbers, held = itertools.count(), list[int]()
    for engine, most, n_new in [*steps, (0, 10**6, 0)]:
        for _, text in zip(range(n_new), itertools.cycle(texts or [""]), strict=False):
            waiting.add(ask(text), next(numbers))
        n_waiting = len(waiting)
        taken = waiting.take(engine % engines, most)
        assert len(taken) == min(most, n_waiting)
        assert len(waiting) == n_waiting - len(taken)
        held += [number for _, number in taken]
    assert sorted(held) == list(range(next(numbers)))


def test_a_group_goes_to_one_engine_while_the_others_have_work() -> None:
    waiting: Waiting[str] = Waiting(4)
    rng, texts = random.Random(3), questions()
    rng.shuffle(texts)
    for text in texts:
        waiting.add(ask(text), text)
    engines: dict[str, set[int]] = {}
    for _ in range(10):
        for engine in range(4):
            for _, text in waiting.take(engine, 8):
                engines.setdefault(text[: 96 * TOKEN], set()).add(engine)
    assert len(engines) > 50
    assert sum(len(found) > 1 for found in engines.values()) <= 4


def test_an_engine_without_work_takes_what_another_reaches_last() -> None:
    waiting: Waiting[int] = Waiting(2)
    same = words(64, "one group")
    for i in range(12):
        waiting.add(ask(same + words(16, f"{i:02}")), i)
    first = {number for _, number in waiting.take(0, 3)}
    second = {number for _, number in waiting.take(1, 3)}
    assert len(first) == len(second) == 3
    assert not first & second
    assert waiting.saved > 0.7 * 4 * BLOCK * 4


def test_planning_a_stream_costs_each_request_a_few_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = deque[int]()

    def counted(texts, answers):
        planned.append(len(texts))
        return plan(texts, answers)

    monkeypatch.setattr("gristmill.engines.planner.plan", counted)
    waiting: Waiting[int] = Waiting(1)
    for i in range(512):
        waiting.add(ask(words(8, i)), i)
    for i in range(512):
        waiting.take(0, 1)
        waiting.add(ask(words(8, "new", i)), i)
    assert sum(planned) <= 4 * 1024
