"""What every selector promises, for all that exist: found by walking the folder, no list to keep.

A selector is built with its defaults. Columns of vectors, labels and texts are known by the
parameter or the schema that names them; every other column is a number.
"""

import asyncio
import importlib
import math
import pkgutil
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from gristmill import selectors
from gristmill.engines.training import LOSSES, Trained
from gristmill.errors import InputError, StageError
from gristmill.pipelines import Context, Recipe, TableStage
from gristmill.pipelines.workspace import execute, prepare
from gristmill.publishing.files import RunFiles
from gristmill.storage.rows import CONTENT

N, WIDTH = 30, 16
LABELS = ("by", "columns", "stage", "level", "subject")
"""Parameters that name columns of labels."""
TEXTS = ("answer",)
"""Parameters that name columns of texts."""
GIVEN = {
    "scale_bio": {"shares": (("0", 0.5), ("1", 0.3), ("2", 0.2))},
    "stelo": {"levels": ("0", "1", "2")},
    "interleaved": {"stages": ("0", "1", "2"), "levels": ("0", "1", "2")},
}
"""Settings without which there would be nothing to select."""


class Teacher:
    """Trains by rule: the loss of a row is the length of its answer, whatever it saw."""

    def stored(self, request):
        return None

    async def ask(self, request):
        lines = [
            {"id": pair.id, "checkpoint": i, "nll": len(pair.response) / (i + 1)}
            for pair in (*request.rows, *request.held_out)
            for i in range(2)
        ]
        return "key", Trained("nowhere", pa.Table.from_pylist(lines, schema=LOSSES), 1, 0, 0)


def selector(name):
    module = importlib.import_module(f"gristmill.selectors.{name}")
    found = (
        c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__
    )
    return next(c for c in found if issubclass(c, TableStage))


def build(name, **settings):
    fields = selector(name).model_fields
    usual = {"k": 5, "of": "number", "target": ("x",), "profile": ('["0", "1", "2"]',)}
    given = {key: v for key, v in usual.items() if key in fields and fields[key].is_required()}
    return selector(name)(**given | GIVEN.get(name, {}) | settings)


def decide(stage, table):
    if not stage.awaits():
        return stage.decide(table)

    async def go():
        return await stage.decide(table, Context({"trainer": Teacher()}, 0, "label", "id"))

    return asyncio.run(go())


ALL = [m.name for m in pkgutil.iter_modules(selectors.__path__)]
SIZED = [name for name in ALL if "k" in selector(name).model_fields]


def columns(stage, n, seed=0):
    """Make what a selector reads, for n rows: distinct vectors, scores and texts, three labels."""
    rng = np.random.default_rng(seed)
    named = {kind: set() for kind in (LABELS, TEXTS)}
    for kind, names in named.items():
        for value in (getattr(stage, field, ()) for field in kind):
            names.update([value] if isinstance(value, str) else value)
    made = {}
    said = {"instruction", "output"} if stage.awaits() else set()  # they need rows with answers
    for name in sorted(stage.reads() & (stage.reads() - stage.optional() | said)):
        if name.endswith(".vector"):
            made[name] = [row.tolist() for row in rng.normal(size=(n, WIDTH))]
        elif name in named[LABELS]:
            made[name] = [str(label) for label in rng.integers(0, 3, n)]
        elif name in named[TEXTS] or CONTENT.get(name) == pa.string():
            made[name] = ["x" * int(length) for length in rng.permutation(n) + 1]
        else:
            made[name] = (rng.permutation(n) + 5.0).tolist()
    return made


def types(stage):
    return {
        name: pa.list_(pa.float32()) if name.endswith(".vector") else None for name in stage.reads()
    }


def table_of(stage, made, ids=None):
    n = len(next(iter(made.values())))
    arrays = {"id": pa.array(ids or [f"{i:03}" for i in range(n)], pa.string())}
    for name, values in made.items():
        kind = types(stage)[name]
        if kind is None:
            some = next((v for v in values if v is not None), None)
            kind = pa.string() if isinstance(some, str) else pa.float64()
        arrays[name] = pa.array(values, kind)
    return pa.table(arrays)


def decided(stage, made, ids=None):
    return decide(stage, table_of(stage, made, ids)).to_pylist()


def numbers_in(value):
    if isinstance(value, float):
        yield value
    for inner in value if isinstance(value, list) else []:
        yield from numbers_in(inner)


def sound(stage, lines, n):
    """Check what holds for every decision, and return how many rows stay."""
    assert len(lines) == n
    for line in lines:
        assert set(stage.writes()) <= set(line)
        assert not any(math.isnan(x) or math.isinf(x) for v in line.values() for x in numbers_in(v))
        if line["keep"]:
            assert line["code"] is None
            assert line["rank"] is not None
        else:
            assert line["code"] in stage.codes
            assert line["detail"]
    kept = [line["rank"] for line in lines if line["keep"]]
    assert sorted(kept) == list(range(len(kept)))
    assert len(kept) + Counter(line["code"] for line in lines if not line["keep"]).total() == n
    return len(kept)


@pytest.mark.parametrize("name", ALL)
def test_the_order_of_the_rows_changes_nothing(name) -> None:
    stage = build(name)
    made = columns(stage, N)
    made = {key: values[: N // 2] * 2 for key, values in made.items()}  # every row has a copy
    straight = {line["id"]: line for line in decided(stage, made)}
    order = np.random.default_rng(1).permutation(N)
    shuffled = {key: [values[i] for i in order] for key, values in made.items()}
    assert {x["id"]: x for x in decided(stage, shuffled, [f"{i:03}" for i in order])} == straight
    assert sound(stage, list(straight.values()), N) > 0


@pytest.mark.parametrize("name", ALL)
def test_a_second_call_decides_the_same(name) -> None:
    stage = build(name)
    made = columns(stage, N)
    assert decided(stage, made) == decided(stage, made)


@pytest.mark.parametrize("name", ALL)
def test_ties_go_to_the_lowest_id(name) -> None:
    stage = build(name)
    first = {key: values[:1] for key, values in columns(stage, N).items()}
    lines = decided(stage, {key: values * 7 for key, values in first.items()}, list("gfedcba"))
    kept = sorted((line["rank"], line["id"]) for line in lines if line["keep"])
    if hasattr(stage, "seed") and name != "gme":
        return  # chance decides among equals: its order is tested with the draw
    assert [i for _, i in kept] == list("abcdefg")[: len(kept)]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("bad", [None, float("nan")], ids=["null", "NaN"])
def test_a_row_that_lacks_a_value_is_not_selected_for_it(name, bad) -> None:
    stage = build(name)
    for column in columns(stage, N):
        made = columns(stage, N)
        if bad is not None and isinstance(made[column][0], str):
            continue
        lost = range(0, N, 3)
        for i in lost:
            made[column][i] = [bad] * WIDTH if bad and isinstance(made[column][i], list) else bad
        lines = decided(stage, made)
        sound(stage, lines, N)
        if "unscored" in stage.codes or "no_vector" in stage.codes:
            stays = {line["id"] for line in lines if line["keep"]} & {f"{i:03}" for i in lost}
            last = getattr(stage, "unscored", "") == "last"
            assert not stays or last or isinstance(columns(stage, 1)[column][0], str)


@pytest.mark.parametrize("name", SIZED)
@pytest.mark.parametrize("k", [1, 7, N, N + 5])
def test_exactly_k_rows_stay_or_all(name, k) -> None:
    stage = build(name, k=k)
    lines = decided(stage, columns(stage, N))
    eligible = sum(line["code"] != "held_out" for line in lines)
    assert sound(stage, lines, N) == min(k, eligible) > 0


@pytest.mark.parametrize("name", SIZED)
@pytest.mark.parametrize("k", [0, -1])
def test_a_k_of_0_is_refused(name, k) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        build(name, k=k)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("n", [0, 1])
def test_no_row_and_one_row(name, n) -> None:
    stage = build(name)
    found = decide(stage, table_of(stage, columns(stage, n)))
    assert sound(stage, found.to_pylist(), n) <= n
    for column, kind in stage.writes().items():
        found[column].cast(kind)


@pytest.mark.parametrize("name", ALL)
def test_what_is_written_has_the_declared_type(name) -> None:
    stage = build(name)
    found = decide(stage, table_of(stage, columns(stage, N)))
    assert {c: found[c].type for c in stage.writes()} == stage.writes()


@pytest.mark.parametrize("name", ALL)
def test_equal_rows_are_decided_on(name) -> None:
    stage = build(name)
    made = {key: values[:1] * N for key, values in columns(stage, N).items()}
    assert sound(stage, decided(stage, made), N) >= 1


@pytest.mark.parametrize("name", ALL)
def test_zero_vectors_and_scores_of_0_are_decided_on(name) -> None:
    stage = build(name)
    made = columns(stage, N)
    for values in made.values():
        if not isinstance(values[0], str):
            values[:] = [[0.0] * WIDTH if isinstance(v, list) else 0.0 for v in values]
    sound(stage, decided(stage, made), N)


@pytest.mark.parametrize("name", ALL)
def test_rows_that_share_an_id_get_a_line_each(name) -> None:
    stage = build(name)
    if stage.needs():
        with pytest.raises(StageError, match="got the id 'same' twice"):
            decided(stage, columns(stage, N), ["same"] * N)
    else:
        sound(stage, decided(stage, columns(stage, N), ["same"] * N), N)


@pytest.mark.parametrize("name", ALL)
def test_a_missing_column_is_named(name) -> None:
    stage = build(name)
    table = table_of(stage, columns(stage, 3))
    for column in sorted(stage.reads() - stage.optional()):
        with pytest.raises(InputError, match=f"reads the column '{column}', but the table has"):
            stage(table.drop_columns([column]))


@pytest.mark.parametrize("name", ALL)
def test_vectors_of_two_lengths_are_refused(name) -> None:
    stage = build(name)
    made = columns(stage, N)
    for column in made:
        if column.endswith(".vector"):
            made[column][3] = [1.0, 2.0]
            with pytest.raises(InputError, match="vectors have 2, 16 numbers, expected one length"):
                decided(stage, made)


@pytest.mark.parametrize("name", [name for name in ALL if name != "interleaved"])
def test_a_text_in_place_of_a_number_or_a_vector_is_refused(name) -> None:
    stage = build(name)
    made = columns(stage, N)
    table = table_of(stage, made)
    for column in (key for key, values in made.items() if not isinstance(values[0], str)):
        at = table.column_names.index(column)
        with pytest.raises(InputError, match="found a column of string"):
            decide(stage, table.set_column(at, column, pa.array(["good"] * N)))


CLUSTERED = [name for name in ALL if "clusters" in selector(name).model_fields]


@pytest.mark.parametrize("name", CLUSTERED)
def test_a_cluster_without_rows_gives_none_and_takes_none_from_the_others(name) -> None:
    kind = selector(name).model_fields["clusters"].annotation
    stage = build(name, k=7, clusters=(8,) if "tuple" in str(kind) else 8)
    made = columns(stage, N)
    made["scores.embedding.vector"] = [row.tolist() for row in np.eye(2, WIDTH)] * (N // 2)
    lines = decided(stage, made)
    assert sound(stage, lines, N) == 7
    assert len({line["cluster"] for line in lines}) <= 2


QUADRATIC = [name for name in ALL if "O(n^2" in (selector(name).__doc__ or "")]


@pytest.mark.parametrize("name", QUADRATIC)
def test_what_takes_the_square_of_the_rows_refuses_many_and_names_what_does_not(name) -> None:
    stage = build(name)
    table = table_of(stage, columns(stage, 1)).take(np.zeros(200_001, np.int64))
    ids = pa.array([str(i) for i in range(len(table))])
    with pytest.raises(InputError, match=r"at most 200,000\); set (\w+), such as \d+") as found:
        stage.decide(table.set_column(0, "id", ids))
    named = str(found.value).partition("; set ")[2].partition(",")[0]
    assert f"`{named}`" in selector(name).__doc__


PRODUCTS = {"contrastive", "d3", "deita", "kmq", "paser"}
"""Selectors that multiply, subtract or draw by a score; every other one looks at ranks alone."""
RANKED = {"threshold": {"quantile": 0.5}}
"""Settings without a fixed bound."""


@pytest.mark.parametrize("name", ALL)
def test_only_what_multiplies_scores_depends_on_their_scale(name) -> None:
    stage = build(name, **RANKED.get(name, {}))
    made = columns(stage, N)
    scored = [key for key in made if isinstance(made[key][0], float)]

    def picks(change):
        now = {key: [change(x) for x in made[key]] if key in scored else made[key] for key in made}
        return [(line["keep"], line["rank"]) for line in decided(stage, now)]

    plain = picks(float)
    same = [picks(change) == plain for change in (math.log, lambda x: x**3, lambda x: 3 * x + 100)]
    assert all(same) == (name not in PRODUCTS)


ROOM = {"k": N, "rate": 1.0, "min": 0.0, "threshold": 1.0, "rare": (1, N), "concepts": 0}
"""Settings that let every row stay, or nearly."""


def in_a_recipe(name):
    """Return the entry of a selector that reads plain columns, besides vectors, and those."""
    stage = build(name, **{key: v for key, v in ROOM.items() if key in selector(name).model_fields})
    plain = {}
    for key, value in stage.model_dump().items():
        paths = [value] if isinstance(value, str) else value if isinstance(value, tuple) else ()
        if any(str(path).startswith(("scores.", "meta.")) for path in paths):
            names = [path.replace(".", "_") for path in paths]
            plain[key] = names[0] if isinstance(value, str) else names
    stage = selector(name)(**stage.model_dump() | plain)
    return {"use": f"selectors.{name}", **stage.model_dump(mode="json")}, columns(stage, N)


def test_a_kept_row_leads_to_every_selector_that_picked_it_and_to_why(tmp_path, engine) -> None:
    rows, stages = [{"output": "aeionrst"[i % 8] * (i + 1)} for i in range(N)], []
    for name in ALL:
        if build(name).needs():
            continue
        entry, made = in_a_recipe(name)
        stages.append(entry)
        for column in made.keys() - {"scores.embedding.vector", "output"}:
            for row, value in zip(rows, made[column], strict=True):
                row.setdefault(column, value)
    recipe = Recipe(name="all", stages=[{"use": "scorers.embedding"}, *stages])
    prepared = prepare(recipe, rows, {"embedder": engine()})
    run = RunFiles.open(execute(prepared, workspace=tmp_path).path)
    kept = pq.read_table(run.data[0]).to_pylist()
    assert len(kept) > 5
    assert run.recipe["stages"][1:] == stages, "with all parameters, as they were"
    assert run.path.name == f"all-{run.note['fingerprint'][:12]}"
    for row in kept:
        assert row["picks"].keys() == {stage["use"].split(".")[1] for stage in stages}
        for stage in stages:
            pick = row["picks"][stage["use"].split(".")[1]]
            rank = pick.pop("rank")
            scores = [row.get(value) for value in stage.values() if isinstance(value, str)]
            why = [x for x in (*pick.values(), *scores) if x is not None]
            assert why or rank == 0 or stage["use"] == "selectors.longest"
            assert rank is not None
