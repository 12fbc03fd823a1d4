"""Fill-in-the-middle rows: whole nodes, nothing lost, no leak, hard ones marked."""

import ast
import json
import textwrap
from pathlib import Path

import pyarrow as pa
import pytest
from audit import audit

from gristmill import run
from gristmill.generators.fim_curriculum import FimCurriculum
from gristmill.pipelines import Recipe
from gristmill.scorers.definitions import Definitions
from gristmill.selectors.top_share import TopShare
from gristmill.text.bm25 import bm25
from gristmill.text.fim_spans import cut, definitions, identifiers, spans

CODE = '''"""Grüße."""
from shop import price_of, Basket

def total(basket: Basket, rate=0.2):
\tsums = {"net": price_of(basket), "größe": len(basket)}
\tif rate > 0:
\t\treturn sums["net"] * (1 + rate)
\telif basket:
\t\treturn [
\t\t\tprice_of(each) for each in basket]
\twhile f"{price_of(basket)}" == rate:
\t\tpass
\treturn price_of(basket)
'''
SHOP = 'class Basket(list):\n    """Goods."""\n\n\ndef price_of(basket):\n    return sum(basket)\n'


def rows_of(ask, code, known=(), source="till.py", **changes):
    row = {"code": code, "source": source, "scores.definitions.found": list(known)}
    return ask(FimCurriculum(**changes), row, {})


@pytest.mark.parametrize(
    "code",
    [CODE, CODE.replace("\n", "\r\n"), "\ufeff" + CODE, CODE.replace("\n", "\r"), "\x0c\n" + CODE],
)
def test_the_parts_are_the_file_and_the_middle_is_a_whole_node(code: str) -> None:
    found = spans(code)
    assert len({span.kind for span in found}) == 5
    for span in found:
        parts = cut(code, span)
        assert "".join(parts).encode() == code.encode()
        middle = parts[1].replace("\r\n", "\n").replace("\r", "\n")
        statement = span.kind in ("conditional", "loop")
        node = ast.parse(textwrap.dedent("\t" + middle) if statement else f"({middle})").body
        assert len(node) == 1
    middles = [cut(code, span)[1] for span in found]
    assert not any(middle.startswith("elif") for middle in middles)
    calls = [middle for middle in middles if middle.startswith("price_of")]
    assert calls == ["price_of(basket)", "price_of(each)", "price_of(basket)"], "none of f-strings"


def test_more_distinct_symbols_are_more_complex() -> None:
    (small,) = spans("f(a, a, a)")
    large = spans("f(a, b.c, d=1)")[0]
    assert (small.complexity, large.complexity) == (2, 5)


def test_a_row_has_context_then_prefix_suffix_and_middle(ask) -> None:
    known = [json.dumps({"path": "shop.py", "symbol": n, "text": t}) for n, t in definitions(SHOP)]
    rows = rows_of(ask, CODE, known, n=99, min_symbols=0)
    assert len(rows) == len(spans(CODE))
    row = next(row for row in rows if row["output"] == "price_of(each)")
    context = "# shop.py\ndef price_of(basket):\n    return sum(basket)\n\n"
    assert row["context"][0]["symbol"] == "price_of"
    assert row["instruction"].startswith(context)
    end = f"<fim_prefix>{row['prefix']}<fim_suffix>{row['suffix']}<fim_middle>"
    assert row["instruction"].endswith(end)
    assert (row["path"], row["node_type"], row["complexity"]) == ("till.py", "call", 2)
    other = rows_of(ask, CODE, n=99, min_symbols=0, order="spm", tokens=("<P>", "<S>", "<M>"))[0]
    assert other["instruction"] == f"<S>{other['suffix']}<P>{other['prefix']}<M>"
    assert other["context"] == []


def test_context_never_holds_the_middle(ask) -> None:
    leak = {"path": "copy.py", "symbol": "total", "text": "def total():\n  price_of( each )"}
    rows = rows_of(ask, CODE, [json.dumps(leak)], n=99, min_symbols=0)
    with_context = {row["output"] for row in rows if row["context"]}
    assert "price_of(each)" not in with_context
    assert with_context, "others may have it"


def test_context_holds_no_line_of_the_middle_that_tells_it(ask) -> None:
    copy = "def total(basket, rate):\n    if rate > 0:\n        return sums['net'] * (1 + rate)"
    cut_off = {"path": "copy.py", "symbol": "total", "text": copy.replace("'", '"')}
    rows = rows_of(ask, CODE, [json.dumps(cut_off)], n=99, min_symbols=0)
    found = {row["output"].splitlines()[0]: bool(row["context"]) for row in rows}
    assert found["if rate > 0:"] is False
    assert found["len(basket)"] is True


def test_context_never_has_a_token_of_the_form(ask) -> None:
    fair = {"path": "shop.py", "symbol": "price_of", "text": "def price_of(basket): ..."}
    evil = [{**fair, "text": fair["text"] + " # <fim_middle>"}, {**fair, "path": "<fim_suffix>"}]
    rows = rows_of(ask, CODE, map(json.dumps, [*evil, fair]), n=99, min_symbols=0)
    for token in FimCurriculum().tokens:
        assert {row["instruction"].count(token) for row in rows} == {1}
    assert fair in [each for row in rows for each in row["context"]]


def test_what_is_drawn_depends_on_the_row_alone(ask) -> None:
    assert rows_of(ask, CODE, n=3) == rows_of(ask, CODE, n=3)
    assert len(rows_of(ask, CODE, n=3)) == 3
    assert all(len(row["output"]) <= 20 for row in rows_of(ask, CODE, max_bytes=20))


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("def f(:", "unparsed"),
        ("x = \ud800", "unparsed"),
        ("\0", "unparsed"),
        ("(\n" * 9000, "unparsed"),
        ("x = 1", "no_node"),
        ("", "no_node"),
        ("f(a, b)\n# " + "x" * 400, "long_lines"),
        ("f(a, '<fim_middle>')", "fim_token"),
    ],
)
def test_a_file_that_is_none_leaves(ask, code: str, why: str) -> None:
    assert rows_of(ask, code).code == why
    assert why in FimCurriculum.codes


def test_names_are_looked_up_in_other_files_only() -> None:
    again = "def price_of(x):\n    '''Price of a basket of goods.'''\n"
    table = pa.table(
        {
            "id": list("abcd"),
            "code": [CODE, SHOP, again, None],
            "source": ["till.py", "shop.py", "till.py", None],
        }
    )
    found = [[json.loads(text) for text in row] for row in
             Definitions().decide(table)["found"].to_pylist()]  # fmt: skip
    assert [(each["path"], each["symbol"]) for each in found[0]] == [
        ("shop.py", "price_of"),
        ("shop.py", "Basket"),
    ]
    assert [(each["path"], each["symbol"]) for each in found[1]] == [("till.py", "price_of")]
    assert found[3] == []
    assert [len(row) for row in Definitions(k=1).decide(table)["found"].to_pylist()] == [1, 1, 1, 0]


def test_bm25_by_hand() -> None:
    rare, common = bm25(["a", "b"], [["a", "x"], ["b", "x"], ["b", "x"]])[:2]
    assert (rare, common) == (pytest.approx(0.980829), pytest.approx(0.470004))
    longer = bm25(["a"], [["a"], ["a", "x", "x"], ["y"]])
    assert longer[0] > longer[1] > longer[2] == 0
    assert bm25(["a"], []) == []
    assert identifiers("for self in print(Täter, x1)") == ["Täter", "x1"]


def test_the_top_share_is_marked_and_nothing_leaves() -> None:
    table = pa.table({"id": list("abcd"), "n": [1, 5, None, 5]})
    decided = TopShare(of="n", rate=0.5).decide(table)
    assert decided["rank"].to_pylist() == [2, 0, 3, 1]
    assert decided["is_top"].to_pylist() == [False, True, False, True]
    assert decided["keep"].to_pylist() == [True] * 4


def test_the_recipe_runs_over_a_folder(tmp_path: Path) -> None:
    (tmp_path / "till.py").write_text(CODE)
    (tmp_path / "shop.py").write_text(SHOP)
    bare = "export={formats: [alpaca], card: false, report: false}"
    sets = [bare, "seeds.use=files", f"seeds.path={tmp_path}"]
    made = run(Recipe.load("fim_curriculum", sets), engines={}, workspace=tmp_path / "work")
    assert audit(made.path) == []
    kept = [json.loads(text)["fim_curriculum"] for text in made.dataset["meta"].to_pylist()]
    assert {row["path"] for row in kept} == {"till.py", "shop.py"}
    ranks = [picks["curriculum"]["rank"] for picks in made.dataset["picks"].to_pylist()]
    by_rank = dict(zip(ranks, kept, strict=True))
    sizes = [by_rank[rank]["complexity"] for rank in sorted(by_rank)]
    assert len(sizes) == len(kept)
    assert sizes == sorted(sizes)
