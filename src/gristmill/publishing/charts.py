"""Small charts as inline SVG: no script, no font, no request; colours come from the page's CSS."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from gristmill.text.plurals import counted

Array = np.ndarray
ROWS, LOST = "#rows-behind-the-figures", "#examples-of-what-was-rejected"
PAID = "#what-each-command-paid"
LABELLED = "#how-far-the-judges-agree-with-people"
"""Sections of the card that figures lead to."""
NOTHING = "\u2013"
"""Stands where there is no number."""

BINS = 28
DENSE = 1200
"""Dots above which a map draws them smaller."""
NAME_HIGH = 32
"""Room for a name on a map, of its height of 430."""
EDGE = 0.01
"""Share of the values (0..1) at each end that a histogram gathers in its outer bins."""


def number(value: float) -> str:
    """Write a number for people: 3 significant digits, thousands apart."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else NOTHING
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.1e}"


def leading(n: float, link: str = ROWS) -> str:
    """Return a figure of the card as a link to rows that it counts; none leads nowhere."""
    return linked(number(n), link) if n else number(n)


def linked(text: str, link: str = ROWS) -> str:
    """Return a figure that is written already as a link of the card."""
    return f"[{text}]({link})"


def short(value: float) -> str:
    """Write a number for an axis: thousands as k, millions as M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    return number(value)


def ticks(low: float, high: float, n: int = 4) -> list[float]:
    """Return round numbers inside a range, about `n` of them."""
    if high <= low:
        return [low]
    raw = (high - low) / n
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def histogram(every: Array, kept: Array, name: str) -> Markup:
    """Draw (n,) and (k,) float64: all rows behind, those of the dataset in front."""
    width, height, left, base = 320, 132, 4, 108
    low, high = _range(every)
    edges = np.linspace(low, high, BINS + 1)
    counts = [np.histogram(np.clip(v, low, high), edges)[0] for v in (every, kept)]
    top = max(int(counts[0].max()), 1)
    step = (width - 2 * left) / BINS
    bars = []
    for i, (n, k) in enumerate(zip(*counts, strict=True)):
        if not n:
            continue
        x = left + i * step
        what = f"{number(edges[i])} to {number(edges[i + 1])}: {counted(n)}, {k:,} kept"
        parts = [_bar("all", x, step, n, top, base), _bar("kept", x, step, k, top, base)]
        bars.append(f"<g><title>{escape(what)}</title>{''.join(parts)}</g>")
    axis = f'<path class="axis" d="M{left} {base + 0.5}H{width - left}"/>'
    for tick in ticks(low, high):
        x = left + (tick - low) / (high - low) * (width - 2 * left)
        anchor = "start" if x < 14 else "end" if x > width - 14 else "middle"
        axis += f'<path class="axis" d="M{x:.1f} {base + 1}v4"/>'
        axis += _label(x, base + 18, short(tick), anchor)
    return _svg(width, height, f"Histogram of {name}", "".join(bars) + axis)


def scatter(
    points: Array, is_kept: Sequence[bool], names: Sequence[tuple[str, tuple[float, float]]] = ()
) -> Markup:
    """Draw (n, 2) float32: the rows of the dataset over the others, and names at places."""
    width, height, edge = 720, 430, 12
    low, high = np.quantile(points, [0.002, 0.998], axis=0)
    span = np.where(high > low, high - low, 1.0)
    places = np.clip((points - low) / span, 0, 1) * [width - 2 * edge, height - 2 * edge] + edge
    chosen = np.asarray(is_kept, bool)
    marks = "".join(
        f'<path class="{kind}" d="{"".join(f"M{x:.1f} {y:.1f}h0" for x, y in places[which])}"/>'
        for kind, which in (("others", ~chosen), ("chosen", chosen))
        if which.any()
    )
    spots = [np.clip((np.array(at) - low) / span, 0, 1) * [width, height] for _, at in names]
    said = [name for name, _ in names]
    for (x, y), name in zip(_apart(spots, said, width, height), said, strict=True):
        nth, _, term = name.partition(" ")
        parts = f'{escape(nth)} <tspan class="term">{escape(term)}</tspan>'
        marks += f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{parts}</text>'
    kind = "map dense" if len(points) > DENSE else "map"
    return _svg(width, height, "Map of the rows' embeddings", marks, kind)


def _apart(
    spots: Sequence[Array], names: Sequence[str], width: int, height: int
) -> list[tuple[float, float]]:
    """Return places of names, near their spots and none over another, in their order.

    A narrow page shows the first word of a name alone, and larger: `NAME_HIGH` has room for both.
    """
    placed: list[tuple[float, float, float]] = []
    for (x, y), name in zip(spots, names, strict=True):
        half = max(9.5 * len(name), 50) / 2
        x = min(max(float(x), half), width - half)
        free = (
            (abs(y - at), at)
            for at in range(NAME_HIGH, height - 4, 4)
            if all(abs(x - a) >= half + h or abs(at - b) >= NAME_HIGH for a, b, h in placed)
        )
        placed.append((x, float(min(free, default=(0, y))[1]), half))
    return [(x, y) for x, y, _ in placed]


def rate(times: Array, totals: Array, unit: str, n_steps: int = 36) -> Markup:
    """Draw how fast a running total grew: seconds (n,) ascending, totals (n,)."""
    width, height, left, right, top, base = 520, 170, 46, 8, 12, 140
    end = float(times[-1])
    edges = np.linspace(float(times[0]), end, min(n_steps, max(len(times) // 2, 2)) + 1)
    rates = np.diff(np.interp(edges, times, np.maximum.accumulate(totals))) / np.diff(edges)
    most = max(float(rates.max()), 1e-9)
    marks = ticks(0, most, 3)
    high = max(marks[-1], most)
    xs = left + (edges - edges[0]) / (edges[-1] - edges[0]) * (width - left - right)
    ys = base - rates / high * (base - top)
    line = f"M{xs[0]:.1f} {ys[0]:.1f}" + "".join(
        f"H{x:.1f}V{y:.1f}" for x, y in zip(xs[1:], [*ys[1:], ys[-1]], strict=True)
    )
    grid = ""
    for mark in marks:
        y = base - mark / high * (base - top)
        grid += f'<path class="grid" d="M{left} {y:.1f}H{width - right}"/>'
        grid += _label(left - 6, y + 4, short(mark), "end")
    for mark in ticks(0, end, 5):
        x = left + (mark - edges[0]) / (edges[-1] - edges[0]) * (width - left - right)
        if left <= x <= width - right + 1:
            anchor = "end" if x > width - right - 16 else "middle"
            grid += _label(x, base + 18, f"{number(mark)} s", anchor)
    area = f'<path class="area" d="{line}V{base}H{xs[0]:.1f}Z"/><path class="line" d="{line}"/>'
    return _svg(width, height, f"{unit} per second over time", grid + area)


def _range(values: Array) -> tuple[float, float]:
    low, high = (float(v) for v in np.quantile(values, [EDGE, 1 - EDGE]))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _bar(kind: str, x: float, step: float, n: int, top: int, base: float) -> str:
    if not n:
        return ""
    height = max(n / top * (base - 6), 1)
    place = f'x="{x + 0.6:.1f}" y="{base - height:.1f}"'
    return f'<rect class="{kind}" {place} width="{step - 1.2:.1f}" height="{height:.1f}"/>'


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: int, height: int, title: str, body: str, kind: str = "chart") -> Markup:
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title)}">{body}</svg>'
    )
