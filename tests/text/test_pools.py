"""Tasks drawn from a pool: the row's own, some of a model, the rest of people."""

from random import Random

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from gristmill.text.pools import mixed


@given(st.integers(1, 6), st.integers(0, 6), st.integers(1, 9), st.integers(0, 9), st.randoms())
def test_a_prompt_has_the_own_task_and_no_more_machine_made_ones_than_asked_for(
    n_people: int, n_made: int, shots: int, made_shots: int, rng: Random
) -> None:
    people, made = [f"p{i}" for i in range(n_people)], [f"m{i}" for i in range(n_made)]
    pool = pa.table({"instruction": people + made, "round": [0] * n_people + [2] * n_made})
    shown = mixed(pool, "p0", shots, made_shots, rng)
    assert shown.count("p0") == 1
    assert len(set(shown)) == len(shown)
    of_model = min(n_made, made_shots, shots - 1)
    assert sum(text in made for text in shown) == of_model
    assert len(shown) == 1 + of_model + min(n_people - 1, shots - 1 - of_model)
