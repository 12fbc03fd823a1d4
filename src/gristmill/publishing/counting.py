"""Which rows the figures of card and report count, read from the shards and the dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from gristmill.publishing import calibration, contamination, facts, pairs, spent, trainee, verified
from gristmill.publishing.charts import number
from gristmill.publishing.files import RunFiles
from gristmill.text.length_bias import WON, range_of
from gristmill.text.plurals import counted

Key = tuple[str, ...]
"""What a figure is about: `("kept", "ifd")`, `("verdict", "unit_tests", "status", "fail")`."""


@dataclass(frozen=True)
class Counted:
    """Rows that a figure counts: how many, and some of them, each with what is to be said of it."""

    n: int
    some: Mapping[str, str]


def figures(run: RunFiles, most: int) -> Iterator[tuple[Key, Counted]]:
    """Yield every figure that counts rows, by what it is about, with up to `most` of them."""
    if not run.files:
        return
    first = run.rows.filter(stage="seeds", round=0)
    yield ("seeds", "used"), _some(first["id"], most)
    if sample := spent.forecast(run).get("sampled"):
        yield ("seeds", "sampled"), _some(first["id"].bottom_k(sample), most)
    yield ("kept", "dataset"), _some(run.kept, most)
    yield from _verified(run, most)
    yield from stages(run, most)
    yield from _verdicts(run, most)
    yield from _scores(run, most)
    yield from _calls(run, most)
    yield from _lengths(run, most)
    yield from _pairs(run, most)
    yield from _critics(run, most)
    yield from _tokens(run, most)
    yield from _sources(run, most)
    for use in contamination.compared(run):
        for kind, hits in (("dropped", use.dropped), ("flagged", use.kept)):
            for (benchmark, method), ids in hits.items():
                yield (kind, use.label, benchmark, method), some(ids, most)


def _verified(run: RunFiles, most: int) -> Iterator[tuple[Key, Counted]]:
    which = verified.which(run)
    yield ("verified", "dataset"), _some(which, most)
    yield (
        ("not verified", "dataset"),
        _some(run.kept.filter(~run.kept.is_in(which.implode())), most),
    )
    for kind, ids in verified.by_kind(run).items():
        yield ("verified", kind), _some(ids, most)


def stages(run: RunFiles, most: int) -> Iterator[tuple[Key, Counted]]:
    """Yield what came into every stage, was made, kept and lost there, from how each row ended."""
    places = pl.DataFrame({"stage": [*run.places], "place": [*run.places.values()]})
    rows = run.rows.join(places.rename({"place": "born"}), on="stage", how="left")
    rows = rows.join(places.rename({"stage": "end_at", "place": "at"}), on="end_at", how="left")
    born, at, end = pl.col("born"), pl.col("at"), pl.col("end")
    for label, place in run.places.items():
        if label == "seeds":
            continue
        here = rows.filter((born <= place) & (at >= place))
        went = (at > place) | (end == "kept")
        own = at == place
        yield ("in", label), _some(here.filter(born < place)["id"], most)
        yield ("made", label), _some(here.filter(went | (born == place))["id"], most)
        yield ("kept", label), _some(here.filter(went)["id"], most)
        yield ("failed", label), _some(here.filter(own & (end == "failed"))["id"], most)
        lost = here.filter(own & (end == "rejected"))
        yield ("lost", label), _some(lost["id"], most)
        for code in lost["end_code"].unique().sort():
            yield ("code", label, code), _some(lost.filter(end_code=code)["id"], most)


def _verdicts(run: RunFiles, most: int) -> Iterator[tuple[Key, Counted]]:
    for label, column, counts in facts.verdicts(run):
        found = run.marks(label, [column])
        words = [facts.word(value, found[column].dtype) for value in found[column]]
        ids = pl.DataFrame({"id": found["id"], "word": words})
        yield ("verdict", label, column), _some(ids["id"], most)
        for word, _ in counts:
            yield ("verdict", label, column, word), _some(ids.filter(word=word)["id"], most)


def _scores(run: RunFiles, most: int) -> Iterator[tuple[Key, Counted]]:
    """Yield rows from the lowest to the highest score, as many between each two of them."""
    for name in facts.score_names(run):
        found = run.numbers(f"scores.{name}").sort("value", "id")
        some = found[trainee.spread(range(len(found)), most)]
        told = {i: number(value) for i, value in some.iter_rows()}
        yield ("score", name), Counted(len(found), told)


def _tokens(run: RunFiles, most: int) -> Iterator[tuple[Key, Counted]]:
    """Yield rows by what a trainee's tokenizer made of them; the file keeps the ids of some."""
    if not (told := trainee.kept(run)):
        return
    sizes = {at["size"]: at["cut"] for at in told["packing"]}
    kinds = {"rows": (len(told["lengths"]), told.get("some") or {})} | {
        f"longer than {number(int(size))}": (sizes[int(size)], some)
        for size, some in (told.get("cut") or {}).items()
    }
    for what, (n, some) in kinds.items():
        few = trainee.spread([*some.items()], most)
        yield ("tokens", what), Counted(n, {i: counted(size, "token") for i, size in few})
    for what, ids in (told.get("wrong") or {}).items():
        yield ("tokens", what), Counted(told["found"][what], dict.fromkeys(ids[:most], ""))


def _pairs(run: RunFiles, most: int) -> Iterator[tuple[Key, Counted]]:
    """Yield the dataset's pairs by what made them, the least margin first, and who wrote them."""
    by_label, writers = pairs.of(run)
    for label, rows in by_label.items():
        by_margin = sorted((row.get("margin") or 0, row["id"]) for row in rows)
        few = {i: f"margin {margin:.3g}" for margin, i in trainee.spread(by_margin, most)}
        yield ("pairs", label or "seeds"), Counted(len(rows), few)
    for (chosen, rejected), ids in writers.items():
        yield ("pairs", f"{chosen} over {rejected}"), some(ids, most)


def _critics(run: RunFiles, most: int) -> Iterator[tuple[Key, Counted]]:
    """Yield the rows that critics and programs both judged, and those that they judged apart."""
    for label, found in calibration.critics(run).items():
        apart = found.filter(pl.col("by_critic") != pl.col("by_program"))
        for what, rows in (("asked of both", found), ("they disagree", apart)):
            yield ("critic", label, what), _some(rows["id"].unique(), most)


def _calls(run: RunFiles, most: int) -> Iterator[tuple[Key, Counted]]:
    """Yield rows of the dataset from the fewest answers that one took to the most."""
    none = pl.DataFrame(schema={"id": pl.String, "calls": pl.List(pl.String)})
    parts = (pl.read_parquet(file, columns=["id", "calls"]) for file in run.data)
    took = pl.concat([none, *parts]).select("id", n=pl.col("calls").list.len())
    took = took.filter(pl.col("n") > 0).sort("n", "id")
    some = took[trainee.spread(range(len(took)), most)].iter_rows()
    yield ("answers", "of a row"), Counted(len(took), {i: counted(n, "answer") for i, n in some})


def _lengths(run: RunFiles, most: int) -> Iterator[tuple[Key, Counted]]:
    """Yield the pairs that judges compared, by how much their answers differ in length."""
    for label, fields in run.fields("verdicts").items():
        if not {*calibration.LENGTHS} <= {*fields}:
            continue
        ids: dict[str, list[str]] = {}
        found = run.marks(label, calibration.LENGTHS).drop_nulls()
        for row_id, chosen, rejected, winner in found.iter_rows():
            if winner in WON and (difference := range_of(chosen, rejected)):
                ids.setdefault(difference, []).append(row_id)
        for difference, some_ids in ids.items():
            yield ("lengths", label, difference), some(some_ids, most)


def _sources(run: RunFiles, most: int) -> Iterator[tuple[Key, Counted]]:
    first = (pl.col("stage") == "seeds") & (pl.col("round") == 0)
    columns = [pl.col(n).replace("", None).fill_null("not stated") for n in ("source", "license")]
    seeds = run.scan().filter(first).select("id", *columns).collect().unique("id")
    named = [(source, licence) for source, licence, _ in facts.sources(run)[: facts.MOST_SOURCES]]
    own = pl.DataFrame(named, schema=["source", "license"], orient="row")
    rest = seeds.join(own, on=["source", "license"], how="anti")
    for source, licence, _ in facts.first_sources(run):
        is_own = (source, licence) in named
        meant = seeds.filter(source=source) if is_own else rest
        yield ("source", source, licence), _some(meant.filter(license=licence)["id"], most)


def _some(ids: pl.Series, most: int) -> Counted:
    return Counted(len(ids), dict.fromkeys(ids.bottom_k(most).sort(), ""))


def some(ids: Iterable[str], most: int) -> Counted:
    """Return a count of rows, and those with the smallest ids."""
    return _some(pl.Series("id", [*ids], pl.String), most)
