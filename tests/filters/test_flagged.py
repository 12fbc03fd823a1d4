import pytest

from gristmill.filters.flagged import Flagged
from gristmill.pipelines import Drop


@pytest.mark.parametrize(
    ("flags", "out"),
    [
        (None, {}),
        (["other"], {}),
        (["b", "truncated", "a"], Drop("flagged", "a, truncated")),
    ],
)
def test_a_row_with_a_named_flag_leaves(flags, out) -> None:
    assert Flagged(flags=("truncated", "a"))({"flags": flags}) == out
