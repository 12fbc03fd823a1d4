"""VIF-RAG: compositions, their score, their wordings."""

import pytest

from gristmill.engines.requests import Completion
from gristmill.generators.vif_rag import VifRag
from gristmill.pipelines import Drop

ATOMS = {"atoms": ["Use no comma.", "Be brief.", "End with why.", "Write in verse."]}


def composed(ask, script, table, **changes):
    engine = script(table)
    rows = ask(VifRag(augment=0, rewrites=0, **changes), ATOMS, engine)
    return [row for row in rows if isinstance(row, Drop) or row["composition"] != "single"], engine


def test_parts_stand_side_by_side_or_in_a_chain(ask, script) -> None:
    (row,), engine = composed(
        ask, script, {"### Analysis": ["x\nScore: 5"]}, n=1, compositions=["multi"]
    )
    assert row["instruction"] == " ".join(row["parts"])
    assert (row["composition"], row["consistency"]) == ("multi", 5.0)
    assert len(engine.calls) == 1
    table = {"so that each": ["First this, then that."], "### Analysis": ["x\nScore: 10"]}
    (row,), _ = composed(ask, script, table, n=1, compositions=["chain"])
    assert (row["instruction"], row["composition"]) == ("First this, then that.", "chain")


def test_all_sizes_are_drawn_and_single_ones_stay(ask) -> None:
    rows = ask(
        VifRag(augment=0, n=40, rewrites=0, compositions=["multi"]),
        ATOMS,
        lambda p, d: "x\nScore: 9",
    )
    assert [row["instruction"] for row in rows[:4]] == ATOMS["atoms"]
    assert {len(row["parts"]) for row in rows[4:]} == {2, 3, 4}
    assert all(len({*row["parts"]}) == len(row["parts"]) for row in rows)


def test_a_composition_is_said_again(ask, script) -> None:
    engine = script({"### Analysis": ["x\nScore: 9"], "### Rewrite": ["One way.", "Two ways."]})
    rows = ask(VifRag(augment=0, n=1, rewrites=2, compositions=["multi"]), ATOMS, engine)
    assert [row["instruction"] for row in rows[5:]] == ["One way.", "Two ways."]
    assert len({row["consistency"] for row in rows[4:]}) == 1


def test_a_longer_list_is_composed_of(ask, script) -> None:
    engine = script({"### New": ["- Sing."], "### Analysis": ["x\nScore: 9"]})
    rows = ask(
        VifRag(n=1, sizes=[5], rewrites=0, compositions=["multi"], max_cosine=1), ATOMS, engine
    )
    assert {*rows[-1]["parts"]} == {*ATOMS["atoms"], "Sing."}


def test_nothing_is_composed_of_what_repeats_the_list(ask, script) -> None:
    table = {"### New": ["- Keep it brief.\n- Sing."], "### Analysis": ["x\nScore: 9"]}
    points = {"Use no": [1, 0, 0], "Be b": [0, 1, 0], "End": [0, 0, 1], "Write": [-1, 0, 0]}
    points |= {"Keep it": [0, 0.8, 0.6], "Sing": [0, -1, 0]}
    embedder = script({text: [vector] for text, vector in points.items()})
    engine = script(table)
    engines = {"generator": engine, "judge": engine, "embedder": embedder}
    rows = ask(VifRag(n=1, rewrites=0, compositions=["multi"]), ATOMS, engines)
    assert [row["instruction"] for row in rows[:-1]] == [*ATOMS["atoms"], "Sing."]


@pytest.mark.parametrize(
    ("table", "code"),
    [
        ({"### Analysis": ["x\nScore: 4"]}, "inconsistent"),
        ({"### Analysis": ["It fits."]}, "unparsed_judge"),
        ({"### Analysis": [" "]}, "empty"),
        ({"### Analysis": [Completion("Score: 9", "length", 9, 1)]}, "cut_off"),
    ],
)
def test_what_does_not_fit_leaves(table, code, ask, script) -> None:
    (found,), _ = composed(ask, script, table, n=1, compositions=["multi"])
    assert found.code == code
