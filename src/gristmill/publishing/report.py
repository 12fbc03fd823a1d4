"""The report of a run: one HTML file without a script, a font or a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

from gristmill.formats.readers import read_malformed
from gristmill.publishing import (
    behind,
    calibration,
    charts,
    contamination,
    counting,
    facts,
    maps,
    rebuilding,
    spent,
    trainee,
    verified,
)
from gristmill.publishing.escape import cut, printable
from gristmill.publishing.files import RunFiles
from gristmill.publishing.versions import HUB
from gristmill.storage.shards import write_text
from gristmill.text.plurals import counted

if TYPE_CHECKING:
    from gristmill.publishing.diff import Diff

BEHIND, BEFORE = 10, 5
"""Rows behind a figure that are shown, and behind one of an older run."""
MAX_CHARS = 1600
"""Characters of one text of an example that are shown."""
WORDS = {
    "target": "the target was reached",
    "seeds": "every seed was used",
    "budget": "the token budget was spent",
    "yield": "a round gave too little",
    "error_rate": "too many rows failed",
}


def write(path: Path, against: Diff | None = None) -> Path:
    """Write `report.html` into a finished run's directory and return its path.

    With a comparison to an older version it has a section on that.
    """
    out = path / "report.html"
    write_text(out, render(RunFiles.open(path), against))
    return out


def render(run: RunFiles, against: Diff | None = None) -> str:
    """Return the report as HTML."""
    return environment().get_template("report.html.j2").render(**_page(run, against))


@cache
def environment() -> SandboxedEnvironment:
    """Return what fills the templates: text of rows is escaped, and no template can call code.

    Kept, because compiling a template takes longer than filling it for a small run.
    """
    found = SandboxedEnvironment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"number": _number, "counted": counted, "shown": _shown, "share": _share}
    return found


def _page(run: RunFiles, against: Diff | None) -> dict[str, Any]:
    lines, note, drawn = facts.lines(run), run.note, maps.embeddings(run)
    found = behind.behind(run, BEHIND, _on_map(drawn)) | _unread(run)
    return {
        **_compared(against),
        "behind": found,
        "groups": _groups(found),
        "folder": run.path.name,
        "bills": run.bills,
        "name": run.name,
        "fingerprint": run.note.get("fingerprint") or run.lock.get("fingerprint") or "",
        "kept": len(run.kept),
        "target": run.recipe.get("target"),
        "stop": WORDS.get(str(note.get("stop")), str(note.get("stop"))),
        "seed": run.recipe.get("seed"),
        "command": rebuilding.command(run),
        "tiles": _tiles(run),
        "lines": lines,
        "widest": max((line.handled for line in lines), default=1) or 1,
        "verdicts": _bars(run),
        "verified": verified.counts(run),
        "scores": _scores(run),
        "trainee": trainee.kept(run),
        "contamination": contamination.compared(run),
        "map": _map(drawn),
        "rates": _rates(run),
        "n_bills": (n := len(run.bills)),
        "callers": f"the {n} commands" if n > 1 else "the one command",
        "kept_examples": facts.kept_examples(run, 6),
        "lost_examples": facts.lost_examples(run, 3),
        "lost": {(at.label, code): n for at in lines for code, n in at.counts["codes"].items()},
        "roles": facts.roles(run),
        "sources": facts.first_sources(run),
        "malformed": facts.malformed(run),
        "remarks": facts.remarks(run),
        "costs": _costs(run),
        "judges": calibration.of(run),
        "judge_lengths": calibration.by_lengths(run),
        "forecast": spent.compare(run),
        "facts": _facts(run),
    }


def _tiles(run: RunFiles) -> list[tuple[str, str, str, counting.Key]]:
    """Return the figures at the top: name, value, remark, and the rows behind; else its bills."""
    note, kept = run.note, len(run.kept)
    target = run.recipe.get("target")
    first = run.stages[0]["in"] if run.stages else 0
    tiles: list[tuple[str, str, str, counting.Key]] = [
        ("Rows kept", _number(kept), f"target {_number(target)}" if target else "no target set",
         ("kept", "dataset")),
        ("Seeds used", _number(first), f"{_per(kept, first)} rows kept per seed",
         ("seeds", "used")),
        ("Tokens", _number(note.get("tokens")), f"{_per(note.get('tokens'), kept)} per kept row",
         ()),
    ]  # fmt: skip
    if n := len(run.bills):
        made, wall_s = (sum(bill[name] for bill in run.bills) for name in ("made", "wall_s"))
        remark = f"in {n} commands" if n > 1 else "in one command"
        paid = ("Calls made", _number(made)), ("Wall time", _time(wall_s))
        tiles += [(name, value, remark, ()) for name, value in paid]
    if hits := facts.prefix_hits(run):
        tiles.append(("Prompt tokens reused", _share(hits[0]), f"{_share(hits[1])} by plan", ()))
    return tiles


def _costs(run: RunFiles) -> list[tuple[str, str, str]]:
    """Return what the run cost in all and per kept row."""
    kept = len(run.kept)
    return [(name[0].upper() + name[1:], _number(n), _per(n, kept)) for name, n in facts.costs(run)]


def _compared(against: Diff | None) -> dict[str, Any]:
    """Return a comparison with the rows behind what the stages of an older run counted."""
    name = against.names[0] if against else ""
    is_run = against is not None and against.funnel is not None  # then its name is its path
    older = behind.before(RunFiles.open(Path(name)), BEFORE) if is_run else {}
    last = ("kept", against.funnel[-1]["stage"]) if against and against.funnel else ()
    told = {"older": older, "older_groups": _groups(older), "older_name": _folder(name)}
    return {"against": against, "older_kept": last, **told}


def _folder(name: str) -> str:
    """Return the end of a path, for a report may go to others; of the Hub all of the name."""
    return name if name.startswith(HUB) else "/".join(Path(name).parts[-2:])


def _facts(run: RunFiles) -> dict[str, counting.Key]:
    """Return what those facts beside a forecast are about that count rows."""
    kept = {f"kept by {label}": ("kept", label) for label in run.places}
    last = run.stages[-1]["stage"] if run.stages else ""
    return {"seeds": ("seeds", "used"), "rows": ("kept", last), **kept}


def _bars(run: RunFiles) -> list[tuple[str, str, int, list[tuple[str, int, str]]]]:
    """Return label, column, total and the parts of every verdict, each with its colour class."""
    kinds = {"passed": "good", "pass": "good", "failed": "bad", "fail": "bad", "not judged": "none"}
    others = ["c1", "c2", "c3", "c4", "c5"]
    result = []
    for label, column, counts in facts.verdicts(run):
        free = iter(others)
        parts = [(w, n, kinds.get(w) or next(free, "none")) for w, n in counts if n]
        result.append((label, column, sum(n for _, n, _ in parts), parts))
    return result


def _scores(run: RunFiles) -> list[tuple[str, Markup, tuple[str, str, int], counting.Key]]:
    """Return name, histogram, medians and the rows behind of every score and of token lengths."""
    found: list[tuple[facts.Score, counting.Key]] = [
        *((score, ("score", score.name)) for score in facts.scores(run)),
        *((score, ("tokens", "rows")) for score in trainee.scores(run)),
    ]
    return [
        (one.name, charts.histogram(one.every, one.kept, one.name), _middle(one), key)
        for one, key in found
    ]


def _middle(score: facts.Score) -> tuple[str, str, int]:
    """Return the medians of all rows and of the dataset's, and the number of rows."""
    kept = charts.number(float(np.median(score.kept))) if len(score.kept) else charts.NOTHING
    return charts.number(float(np.median(score.every))), kept, len(score.every)


def _map(found: maps.Map | None) -> dict[str, Any] | None:
    if not found:
        return None
    names = [(f"{i} {cut(t.terms[0], 24)}", t.place) for i, t in enumerate(found.topics, 1)]
    svg = charts.scatter(found.places, found.is_kept, names)
    n, kept = len(found.places), sum(found.is_kept)
    told = {"svg": svg, "n": n, "total": found.total, "kept": kept, "topics": found.topics}
    return {**told, "shown": _share(found.shown)}


def _on_map(found: maps.Map | None) -> dict[counting.Key, counting.Counted]:
    """Return the rows that the map and its topics count."""
    if not found:
        return {}
    places = range(len(found.ids))
    which: dict[counting.Key, Iterable[int]] = {
        ("map", "in the dataset"): [i for i in places if found.is_kept[i]],
        ("map", "not selected"): [i for i in places if not found.is_kept[i]],
    }
    for nth, topic in enumerate(found.topics, 1):
        which["topic", f"{nth}"] = topic.rows
        which["topic", f"{nth}", "in the dataset"] = [i for i in topic.rows if found.is_kept[i]]
    counted = {key: counting.some((found.ids[i] for i in of), BEHIND) for key, of in which.items()}
    return {key: one for key, one in counted.items() if one.n}


def _unread(run: RunFiles) -> dict[counting.Key, behind.Behind]:
    """Return the lines of the input that could not be read, as rows: where each is, and why."""
    path = run.path / "malformed.jsonl"
    if not path.exists():
        return {}
    found = read_malformed(path)
    rows = [behind.Shown("", f"{one['file']}:{one['line']}", str(one["reason"]), "")
            for one in found[:BEHIND]]  # fmt: skip
    made = behind.Behind("rows-malformed", "input", "could not be read", len(found), rows)
    return {("malformed", "lines"): made}


def _groups(found: Mapping[counting.Key, behind.Behind]) -> dict[str, list[behind.Behind]]:
    """Return them by what they are of; those of reject codes stand among the examples."""
    groups: dict[str, list[behind.Behind]] = {}
    for key, one in found.items():
        if key[0] != "code":
            groups.setdefault(one.where, []).append(one)
    return groups


def _rates(run: RunFiles) -> list[tuple[str, Markup]]:
    """Return the charts of rows and tokens per second; none for a run of a few looks."""
    points = _timeline(run)
    if len(points) < 4 or points[-1, 0] <= points[0, 0]:
        return []
    times = points[:, 0]
    series = [("Rows", points[:, 1]), ("Tokens", points[:, 2])]
    return [(name, charts.rate(times, v, name)) for name, v in series if v[-1] > v[0]]


def _timeline(run: RunFiles) -> Any:
    """Return (n, 3) seconds, rows and tokens, the commands of a run one after the other."""
    parts, end = [], np.zeros(3)
    for bill in run.bills:
        part = np.asarray(bill["timeline"], np.float64).reshape(-1, 3) + end
        parts.append(part)
        end = part[-1] if len(part) else end
    return np.concatenate(parts) if parts else np.zeros((0, 3))


def _number(value: Any) -> str:
    return charts.NOTHING if value is None else charts.number(value)


def _per(total: float | None, n: int) -> str:
    return charts.NOTHING if total is None or not n else charts.number(total / n)


def _share(rate: float) -> str:
    return f"{rate:.1%}" if rate < 0.1 else f"{rate:.0%}"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _shown(text: Any, limit: int = MAX_CHARS) -> str:
    """Return a text to show; the template escapes it."""
    return cut(printable(str(text)), limit)
