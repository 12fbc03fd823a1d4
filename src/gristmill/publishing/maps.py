"""The map of a run's rows: embeddings in two directions, and topics named by their top terms.

Source: c-TF-IDF, Grootendorst, "BERTopic", arXiv:2203.05794, section 3.3.
Differs from the paper: the clusters are k-means on the embeddings as they are, so that every row
has a topic and nothing is tuned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from gristmill.geometry.k_means import k_means
from gristmill.geometry.picks import Indices
from gristmill.publishing.files import RunFiles
from gristmill.publishing.masking import mask_of
from gristmill.publishing.said import TEXTS
from gristmill.text.words import STOP_WORDS, words

MOST_POINTS = 5000
"""Rows on the map: enough to see its shape, few enough for a small file."""
MOST_TOPICS, FEWEST_ROWS = 12, 30
"""Topics on a map, and the rows below which it has none."""
TERMS = 3
FIRST_CHARS = 2000
"""Of a text, whose words name its topic."""


@dataclass(frozen=True)
class Topic:
    """Rows whose embeddings are near each other."""

    terms: tuple[str, ...]
    n: int
    kept: int
    place: tuple[float, float]
    """The median of its rows' places."""
    rows: tuple[int, ...]
    """Which of the rows they are."""


@dataclass(frozen=True)
class Map:
    """Rows by the two main directions of their embeddings."""

    places: np.ndarray
    """(n, 2) float32."""
    ids: list[str]
    is_kept: list[bool]
    shown: float
    """Share of the variance (0..1) that two directions hold."""
    total: int
    """Rows that have an embedding, those that new rows replaced left out; `places` is a part."""
    topics: list[Topic]
    """The largest first."""


def embeddings(run: RunFiles) -> Map | None:
    """Return a map of the first embedding; None when there is none to draw."""
    for label, fields in run.fields("scores").items():
        for name, kind in fields.items():
            if name == "vector" and pa.types.is_list(kind):  # other lists are scores of turns
                return _map(run, label, name)
    return None


def _map(run: RunFiles, label: str, name: str) -> Map | None:
    column = pl.col("scores").struct.field(label).struct.field(name)
    have = run.scan().filter(column.is_not_null())
    ids = have.select("id").unique().sort("id").collect()["id"]
    ids = ids.filter(~ids.is_in(run.rows.filter(end="expanded")["id"].implode()))
    if len(ids) < 3:
        return None
    chosen = ids.is_in(run.kept.implode())
    first = ids.filter(chosen).head(MOST_POINTS // 2)
    rest = ids.filter(~chosen).head(MOST_POINTS - len(first))
    wanted = pl.concat([first, rest])
    said = pl.coalesce(*(n for n in TEXTS if n in run.schema.names)).str.head(FIRST_CHARS)
    lines = have.filter(pl.col("id").is_in(wanted.implode()))
    lines = lines.select("id", column.alias("vector"), said.alias("said"))
    found = lines.collect().unique("id", keep="last").sort("id")
    vectors = np.asarray(found["vector"].to_list(), np.float32)
    places, shown = _places(vectors)
    is_kept = found["id"].is_in(run.kept.implode()).to_list()
    texts = [*map(mask_of(run), found["said"].fill_null(""))]
    named = topics(vectors, texts, places, is_kept)
    return Map(places, found["id"].to_list(), is_kept, shown, len(ids), named)


def _places(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """Return (n, 2) places of (n, d) vectors, and the share of the variance that they hold."""
    centred = vectors - vectors.mean(axis=0)
    # The eigenvectors of d x d sums: a decomposition of n x d takes twenty times as long.
    size, axes = np.linalg.eigh(centred.T @ centred)
    total = float(size.sum())
    shown = float(size[-2:].sum()) / total if total else 0.0
    axes = axes[:, ::-1].T
    # The sign of an axis is arbitrary: fixed, so that the same run gives the same picture.
    axes = axes[:2] * np.sign(axes[:2].sum(axis=1, keepdims=True) + 1e-12)
    places = centred @ axes.T
    if places.shape[1] < 2:
        places = np.column_stack([places, np.zeros(len(places), np.float32)])
    return places, shown


def topics(
    vectors: np.ndarray, texts: Sequence[str], places: np.ndarray, is_kept: Sequence[bool]
) -> list[Topic]:
    """Return the topics of (n, d) vectors, n texts and (n, 2) places, the largest first.

    A topic whose texts have no term is left out.
    """
    n = len(texts)
    if n < FEWEST_ROWS:
        return []
    k = min(MOST_TOPICS, max(2, round((n / 20) ** 0.5)))
    of = k_means(vectors, k, iterations=25, tries=3).of
    named, kept = terms(texts, of), np.asarray(is_kept, bool)
    made = []
    for topic, found in named.items():
        which = of == topic
        x, y = (float(v) for v in np.median(places[which], axis=0))
        rows = tuple(np.flatnonzero(which).tolist())
        made.append(Topic(found, len(rows), int(kept[which].sum()), (x, y), rows))
    return sorted((one for one in made if one.terms), key=lambda one: (-one.n, one.terms))


def terms(texts: Sequence[str], of: Indices) -> dict[int, tuple[str, ...]]:
    """Return the words that tell a topic from the others, best first, by topic.

    A word counts once per text. Its weight is its share of the topic's words times
    log(1 + A / f): A words of a topic on average, f times the word in all topics.
    """
    counts: dict[int, Counter[str]] = {}
    for text, topic in zip(texts, of.tolist(), strict=True):
        counts.setdefault(topic, Counter()).update(filter(_is_term, set(words(text))))
    total = Counter[str]()
    for found in counts.values():
        total.update(found)
    mean = total.total() / max(len(counts), 1)

    def weight(found: Counter[str], word: str) -> float:
        return found[word] / found.total() * float(np.log1p(mean / total[word]))

    return {
        topic: tuple(sorted(found, key=lambda w: (-weight(found, w), w))[:TERMS])
        for topic, found in counts.items()
    }


def _is_term(word: str) -> bool:
    return len(word) > 2 and word not in STOP_WORDS and not word.isdigit()
