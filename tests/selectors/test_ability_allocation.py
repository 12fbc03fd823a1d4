from collections import Counter

import pyarrow as pa
import pytest

from gristmill.errors import InputError
from gristmill.selectors.ability_allocation import AbilityAllocation

FLAT = (("ethics", 64), ("role_play", 64), ("writing", 1000))
SIX = ("chat", "code", "extraction", "history", "logic", "maths")


def given(stage, sizes):
    names = [name for name, size in sizes.items() for _ in range(size)]
    table = pa.table({"id": [f"{i:06}" for i in range(len(names))], "ability": names})
    lines = stage.decide(table).to_pylist()
    return Counter(name for name, line in zip(names, lines, strict=True) if line["keep"]), lines


def test_the_authors_own_plan() -> None:
    sizes = {"biology": 1041, **dict.fromkeys(SIX, 4000), **{name: 1500 for name, _ in FLAT}}
    found, lines = given(AbilityAllocation(k=10_000, plateaus=FLAT), sizes)
    assert [found[name] for name, _ in FLAT] == [64, 64, 1000]
    assert sorted(found[name] for name in SIX) == [1305] * 5 + [1306]
    assert found["biology"] == 1041
    assert found.total() == 10_000
    assert lines[0]["quota"] == 1041


def test_a_measured_curve_gives_the_size_from_which_it_is_flat() -> None:
    sizes = (1, 4, 16, 64, 256, 1000)
    flat = tuple(zip(sizes, (30, 40, 44, 45, 45.2, 45.1), strict=True))
    rising = tuple(zip(sizes, (30, 40, 44, 46, 48, 50), strict=True))
    stage = AbilityAllocation(k=500, curves=(("a", flat), ("b", rising)))
    assert given(stage, {"a": 900, "b": 900})[0] == {"a": 64, "b": 436}


def test_a_budget_below_the_plateaus_is_shared_among_them() -> None:
    found, _ = given(
        AbilityAllocation(k=30, plateaus=(("a", 40), ("b", 20))), {"a": 50, "b": 50, "c": 9}
    )
    assert found == {"a": 20, "b": 10}


def test_when_all_are_flat_fewer_rows_come_back() -> None:
    found, _ = given(AbilityAllocation(k=30, plateaus=(("a", 4),)), {"a": 50})
    assert found == {"a": 4}


def test_an_unknown_ability_is_refused() -> None:
    with pytest.raises(InputError, match=r"names the abilities \['b'\], but 'ability' has \['a'\]"):
        given(AbilityAllocation(k=3, plateaus=(("b", 4),)), {"a": 5})
