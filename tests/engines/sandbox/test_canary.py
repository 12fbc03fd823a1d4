"""What a canary run changes in the tests."""

import ast
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gristmill.engines.sandbox import asserts, canary
from gristmill.engines.sandbox.trees import literal

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5)
)
HASHABLE = st.one_of(st.booleans(), st.integers(0, 3), st.sampled_from("ab"))
SOURCES = st.recursive(
    LEAVES.map(repr),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: f"({', '.join(items)},)"),
        st.lists(HASHABLE.map(repr), min_size=1, max_size=4).map(
            lambda items: f"{{{', '.join(items)}}}"
        ),
        st.lists(st.tuples(HASHABLE.map(repr), inner), max_size=4).map(
            lambda items: f"{{{', '.join(f'{key}: {value}' for key, value in items)}}}"
        ),
    ),
    max_leaves=6,
)


def read(source: str) -> Any:
    return literal(ast.parse(source, mode="eval").body)


@given(SOURCES)
def test_a_changed_literal_never_means_the_same(source: str) -> None:
    if "nan" in source or "inf" in source:
        return
    node = asserts.another(ast.parse(source, mode="eval").body, canary.another)
    after = ast.unparse(node)
    assert read(after) != read(source), after


def test_a_key_that_is_written_twice_is_changed_where_it_counts() -> None:
    for _ in range(40):
        node: Any = ast.parse("{'ra': 7, 'ra': 7}", mode="eval").body
        assert literal(asserts.another(node, canary.another)) != {"ra": 7}
