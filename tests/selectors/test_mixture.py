from collections import Counter

import pyarrow as pa
import pytest
from pydantic import ValidationError

from gristmill.errors import InputError
from gristmill.pipelines import Recipe
from gristmill.selectors.mixture import Mixture

SIZES = {"a": 1000, "b": 100, "c": 10}


def decided(stage, sizes=None):
    names = [name for name, size in (sizes or SIZES).items() for _ in range(size)]
    table = pa.table({"id": [f"{i:05}" for i in range(len(names))], "source": names})
    return names, stage.decide(table).to_pylist()


def counts(stage, sizes=None):
    names, lines = decided(stage, sizes)
    times = Counter()
    for name, line in zip(names, lines, strict=True):
        times[name] += line["times"] or 0
    return [times[name] for name in (sizes or SIZES)]


@pytest.mark.parametrize(
    ("temperature", "shares"),
    [
        (1.0, (0.90090, 0.09009, 0.00901)),
        (2.0, (0.70610, 0.22329, 0.07061)),
        (5.0, (0.49284, 0.31096, 0.19620)),
    ],
)
def test_the_worked_shares_of_the_sheet(temperature, shares) -> None:
    large = {name: size * 100 for name, size in SIZES.items()}  # 100,000 and room for every share
    k = 1000
    found = counts(Mixture(k=k, temperature=temperature), large)
    assert sum(found) == k
    assert [count / k for count in found] == pytest.approx(shares, abs=0.5 / k)


def test_what_a_small_source_lacks_the_others_give() -> None:
    assert counts(Mixture(k=300, temperature=1e9)) == [190, 100, 10]


def test_caps_are_taken_as_they_are_without_k() -> None:
    assert counts(Mixture(cap=50)) == [50, 50, 10]
    assert counts(Mixture(cap=50, caps=(("a", 70),))) == [70, 50, 10]
    assert counts(Mixture()) == [1000, 100, 10]
    assert counts(Mixture(k=60, cap=50)) == [27, 27, 6]


def test_repeats_are_counted_and_the_first_drawn_are_repeated_first() -> None:
    names, lines = decided(Mixture(k=75, temperature=1e9, epochs=2.5))
    assert counts(Mixture(k=75, temperature=1e9, epochs=2.5)) == [25, 25, 25]
    small = sorted(line["times"] for name, line in zip(names, lines, strict=True) if name == "c")
    assert small == [2] * 5 + [3] * 5
    assert lines[-1]["epochs"] == 2.5
    with pytest.raises(ValidationError, match="less than or equal to 4"):
        Mixture(epochs=5)


def test_the_same_seed_draws_the_same_ids_and_another_one_others() -> None:
    kept = [
        [i for i, line in enumerate(decided(Mixture(k=50, seed=seed))[1]) if line["keep"]]
        for seed in (0, 0, 1)
    ]
    assert kept[0] == kept[1] != kept[2]


def test_a_cap_of_no_source_is_refused_and_a_row_without_one_leaves() -> None:
    with pytest.raises(InputError, match=r"caps names \['d'\], but 'source' has \['a', 'b', 'c'\]"):
        decided(Mixture(caps=(("d", 1),)))
    table = pa.table({"id": ["x", "y"], "source": ["a", None]})
    assert Mixture().decide(table)["code"].to_pylist() == [None, "no_source"]


def test_a_source_that_may_be_absent_is_no_mistake() -> None:
    stage = Mixture(caps=(("d", 1), ("a", 5)), absent="ignore")
    assert counts(stage) == [5, 100, 10]
    assert counts(stage, {"b": 3}) == [3]


def test_the_recipe_of_spars_refiner_ends_where_a_part_does_not_occur() -> None:
    for spec in Recipe.load("spar_refiner").stages[-2:]:
        stage = Mixture(**{name: spec[name] for name in spec.keys() - {"use", "as"}})
        table = pa.table({"id": ["0"], spec["by"]: [spec["caps"][0][0]]})
        assert stage.decide(table)["keep"].to_pylist() == [True]
