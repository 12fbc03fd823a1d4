from collections import Counter
from math import comb, log

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import InputError
from gristmill.geometry.entropy import most_even
from gristmill.selectors import gme as module
from gristmill.selectors.gme import Gme, chance_of_best

TABLE = {
    "id": ["r0", "r1", "r2", "r3", "r4"],
    "topic": [["math"], ["math", "math"], ["code"], ["math"], ["law"]],
    "level": [["easy"], ["easy", "hard"], ["hard"], ["hard"], ["easy"]],
}


def entropy(counts):
    shares = [c / sum(counts) for c in counts if c]
    return -sum(p * log(p) for p in shares)


def test_the_worked_picks_of_the_sheet() -> None:
    lines = Gme(k=5, columns=("topic", "level")).decide(pa.table(TABLE)).to_pylist()
    best = sorted(lines, key=lambda line: line["rank"])
    assert [line["id"] for line in best] == ["r1", "r2", "r4", "r0", "r3"]
    assert [line["distance"] for line in best] == pytest.approx(
        [1.09861, 0.46556, 0.05889, 0.14970, 0.23105], abs=1e-4
    )
    assert best[2]["entropies"] == pytest.approx([1.03972, 0.69315], abs=1e-4)
    assert best[3]["entropies"][0] == pytest.approx(0.95027, abs=1e-4)  # an entropy can fall


@pytest.mark.parametrize(
    ("counts", "nats"),
    [((0, 1, 2, 3, 1), 1.27703), ((0, 1, 2, 2, 0), 1.05492), ((3, 1, 2), 1.011404)],
)
def test_the_entropy_of_the_selected_is_that_of_its_counts(counts, nats) -> None:
    items = [[Counter({str(i): c})] for i, c in enumerate(counts) if c]
    assert most_even(items, 9).entropies[-1] == pytest.approx([nats], abs=1e-4)


def test_the_chance_that_a_sample_holds_one_of_the_best() -> None:
    assert chance_of_best(10, 1000, 200) == pytest.approx(1 - comb(990, 200) / comb(1000, 200))
    assert chance_of_best(10, 1000, 200) == pytest.approx(0.89384, abs=1e-4)
    of_the_sheet = [chance_of_best(n, 130_000, 25_000) for n in (10, 20, 50)]
    assert of_the_sheet == pytest.approx([0.8819, 0.9860, 0.9999], abs=1e-4)
    assert (chance_of_best(1, 5, 5), chance_of_best(3, 5, 3)) == (1, 1)


rows = st.lists(st.lists(st.sampled_from("abcd"), max_size=3), min_size=1, max_size=14)


@given(rows, rows, st.sampled_from(["utopia", "sum"]))
def test_every_pick_is_the_plain_procedures(first, second, rule) -> None:
    n = min(len(first), len(second))
    items = [[Counter(first[i]), Counter(second[i])] for i in range(n)]
    sizes = [len(set().union(*(item[v] for item in items))) for v in (0, 1)]
    utopia = np.array([log(max(size, 1)) for size in sizes])
    found = most_even(items, n, rule)
    chosen: list[int] = []
    for pick in found.picks.tolist():
        worth = {}
        for i in set(range(n)) - set(chosen):
            together = [sum((items[j][v] for j in [*chosen, i]), Counter()) for v in (0, 1)]
            h = np.round([entropy(c.values()) if c else 0.0 for c in together], 5)
            worth[i] = -h.sum() if rule == "sum" else np.linalg.norm(h - utopia)
        assert worth[pick] == pytest.approx(min(worth.values()), abs=2e-5)
        chosen.append(pick)
    assert sorted(chosen) == list(range(n))


def test_a_label_counts_once_per_row_where_asked() -> None:
    table = pa.table({"id": list("ab"), "source": [["x", "x"], ["y"]]})
    for once, nats in ((True, log(2)), (False, entropy([2, 1]))):
        lines = Gme(k=2, once=once).decide(table).to_pylist()
        last = max(lines, key=lambda line: line["rank"])
        assert last["entropies"] == pytest.approx([nats])


def test_a_row_without_labels_changes_nothing() -> None:
    table = pa.table({"id": list("abc"), "source": ["x", None, "y"]})
    lines = Gme(k=3).decide(table).to_pylist()
    assert [line["rank"] for line in lines] == [0, 2, 1]
    assert [line["entropies"][0] for line in lines] == pytest.approx([0, log(2), log(2)])


def test_a_sample_gives_the_same_picks_for_the_same_seed_and_none_twice() -> None:
    rng = np.random.default_rng(0)
    items = [[Counter({f"{v}": 1})] for v in rng.integers(0, 30, 300)]
    first, again = (most_even(items, 60, sample=20, seed=7) for _ in range(2))
    assert first.picks.tolist() == again.picks.tolist()
    assert len(set(first.picks.tolist())) == 60
    assert first.distances[-1] < 0.1


def test_too_large_a_pool_names_the_sample() -> None:
    table = pa.table(
        {"id": [f"{i:03}" for i in range(300)], "source": [str(i) for i in range(300)]}
    )
    stage = Gme(k=module.MOST // 300 + 1)
    assert len(stage.decide(table)) == 300  # picks are at most the rows
    wide = pa.table(
        {"id": [f"{i:05}" for i in range(50_000)], "source": [str(i) for i in range(50_000)]}
    )
    with pytest.raises(InputError, match=r"need 2,500,000,000 steps, .*; set sample, such as 200"):
        Gme(k=50_000).decide(wide)
