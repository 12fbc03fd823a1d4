"""The rows behind the figures of card and report: some of each, by name, so that doubt can look.

Which rows a figure counts is read from the shards, so their number is a second count of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from gristmill.publishing import calibration, contamination, facts, trainee, verified
from gristmill.publishing.charts import number
from gristmill.publishing.escape import code_span, cut
from gristmill.publishing.files import RunFiles
from gristmill.text.length_bias import WON, range_of
from gristmill.text.plurals import counted

CHARS = 160
"""Of a row's text that is shown."""
ON_CARD = 3
"""Rows behind a figure that the card names."""
TOLD = (
    "seeds", "kept", "verified", "verdict", "lengths", "failed", "answers", "source", "dropped",
    "flagged",
)  # fmt: skip
"""Kinds of figures that the card has."""
TITLE = "Rows behind the figures"
Key = tuple[str, ...]
"""What a figure is about: `("kept", "ifd")`, `("verdict", "unit_tests", "status", "fail")`."""


@dataclass(frozen=True)
class Counted:
    """Rows that a figure counts: how many, and some of them, each with what is to be said of it."""

    n: int
    some: Mapping[str, str]


@dataclass(frozen=True)
class Shown:
    """A row behind a figure: how it ended, and what it says as everybody may read it."""

    id: str
    said: str
    ended: str
    text: str


@dataclass(frozen=True)
class Behind:
    """Some of the rows behind a figure."""

    anchor: str
    """Where they stand in the report: never a name from the data."""
    where: str
    what: str
    n: int
    rows: list[Shown]


def behind(
    run: RunFiles, most: int, more: Mapping[Key, Counted] | None = None
) -> dict[Key, Behind]:
    """Return up to `most` rows behind every figure that counts rows, by what it is about."""
    return _named(run, {**dict(_figures(run, most)), **(more or {})}, "rows")


def before(run: RunFiles, most: int) -> dict[Key, Behind]:
    """Return up to `most` rows behind what each stage of an older run counts."""
    is_there = run.files and all(file.exists() for file in run.files)
    return _named(run, dict(_stages(run, most)) if is_there else {}, "before")


def _named(run: RunFiles, counts: Mapping[Key, Counted], anchor: str) -> dict[Key, Behind]:
    figures = {key: one for key, one in counts.items() if one.n}
    ids = dict.fromkeys(i for one in figures.values() for i in one.some)
    show = facts.publishable(run)
    known = {row["id"]: (_ended(row), show(row)) for row in run.last_of(ids)}
    found = {}
    for at, (key, one) in enumerate(figures.items(), 1):
        rows = [Shown(i, said, known[i][0], _text(known[i][1])) for i, said in one.some.items()]
        where, what = _words(key)
        found[key] = Behind(f"{anchor}-{at}", where, what, one.n, rows)
    return found


def section(run: RunFiles) -> Iterator[str]:
    """Yield the lines of the card: some rows by id of everything that its tables count.

    Rows of every reject code stand among its examples.
    """
    known = {key: one for key, one in behind(run, ON_CARD).items() if key[0] in TOLD}
    if not known:
        return
    yield (
        "Ids of some of the rows that a figure above counts, the smallest first. Who has the run "
        "sees any of them with `build-dataset trace`, calls and verdicts included, and goes "
        "through all with `build-dataset review`.\n"
    )
    yield "| of | what | rows | ids |"
    yield "|---|---|--:|---|"
    for one in known.values():
        ids = " ".join(f"`{row.id[:12]}`" for row in one.rows)
        what = code_span(one.what, 60)
        yield f"| {code_span(one.where, 100)} | {what} | {number(one.n)} | {ids} |"


def _words(key: Key) -> tuple[str, str]:
    """Return what a figure is of, and what it counts there."""
    kind, *rest = key
    match kind, rest:
        case "code", [label, code]:
            return label, code
        case "verdict", [label, column, word]:
            return f"{label}.{column}", word
        case "topic", [nth, *more]:
            return f"topic {nth}", ", ".join(more) or "rows"
        case (("dropped" | "flagged"), [label, benchmark, method]):
            return label, f"{kind}: {benchmark} by {method}"
        case (("in" | "made" | "kept" | "failed"), [label]):
            return label, kind
        case "lengths", [label, difference]:
            return label, f"the other answer shorter by {difference}"
        case "lost", [label]:
            return label, "rejected"
    return kind, ", ".join(rest)


def _figures(run: RunFiles, most: int) -> Iterator[tuple[Key, Counted]]:
    if not run.files:
        return
    first = run.rows.filter(stage="seeds", round=0)
    yield ("seeds", "used"), _some(first["id"], most)
    yield ("kept", "dataset"), _some(run.kept, most)
    yield ("verified", "dataset"), _some(verified.which(run), most)
    yield from _stages(run, most)
    yield from _verdicts(run, most)
    yield from _scores(run, most)
    yield from _calls(run, most)
    yield from _lengths(run, most)
    yield from _sources(run, most)
    for use in contamination.compared(run):
        for kind, hits in (("dropped", use.dropped), ("flagged", use.kept)):
            for (benchmark, method), ids in hits.items():
                yield (kind, use.label, benchmark, method), some(ids, most)


def _stages(run: RunFiles, most: int) -> Iterator[tuple[Key, Counted]]:
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
        for word, _ in counts:
            yield ("verdict", label, column, word), _some(ids.filter(word=word)["id"], most)


def _scores(run: RunFiles, most: int) -> Iterator[tuple[Key, Counted]]:
    """Yield rows from the lowest to the highest score, as many between each two of them."""
    for name in facts.score_names(run):
        found = run.numbers(f"scores.{name}").sort("value", "id")
        some = found[trainee.spread(range(len(found)), most)]
        told = {i: number(value) for i, value in some.iter_rows()}
        yield ("score", name), Counted(len(found), told)
    if measured := trainee.kept(run):
        lengths = {i: counted(n, "token") for i, n in (measured.get("some") or {}).items()}
        yield ("score", trainee.named(measured)), Counted(len(measured["lengths"]), lengths)


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


def _ended(row: Mapping[str, object]) -> str:
    if row["end"] == "kept":
        return "kept"
    code = f": {row['end_code']}" if row["end_code"] else ""
    return f"{row['end']} at {row['end_at']}{code}"


def _text(shown: facts.Example) -> str:
    longest = max((text for _, text in shown.texts), key=len, default="")
    return cut(" ".join(longest.split()), CHARS)
