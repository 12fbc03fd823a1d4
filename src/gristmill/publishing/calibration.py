"""How far the judges of a run agreed with people: what `build-dataset calibrate` measured of them.

Kept in a workspace by the judge, and beside a run's ledger for its card. It
holds for one identity alone: the stage, its parameters, its prompts and its engines. What leans
without labels to tell is here, too: how often longer answers won, and judges of their own family.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from gristmill.publishing.charts import LABELLED, leading, linked, number
from gristmill.publishing.escape import code_span, line
from gristmill.publishing.files import RunFiles
from gristmill.storage.shards import write_text
from gristmill.text.length_bias import LengthRange, by_length

FILE, KIN = "calibration.json", "kin.json"
LENGTHS = ("chosen_chars", "rejected_chars", "winner")
KNOWN = ("by_critic", "by_program")
Found = dict[str, Any]
"""`identity`, and the figures that `calibrate --json` prints."""


def remember(workspace: Path, use: str, found: Found) -> None:
    """Keep what was measured last of a judge, a stage such as `verifiers.pairwise`."""
    name = f"{use}-{found['identity']}.json"
    write_text(_folder(workspace) / name, json.dumps(found, indent=1))


def known(workspace: Path, use: str) -> dict[str, Found]:
    """Return what was measured of all judges that are this stage, by identity."""
    paths = sorted(_folder(workspace).glob(f"{use}-*.json"))
    found = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return {one["identity"]: one for one in found}


def save(run: Path, found: Mapping[str, Found], kin: Sequence[str]) -> None:
    """Keep what holds for the judges of a run, by label, and which ones judge their own family."""
    for name, told in ((FILE, found), (KIN, kin)):
        if told:
            write_text(run / name, json.dumps(told, indent=1))


def take(folder: Path, run: Path) -> None:
    """Give a dataset that grows what holds for its last run's judges, and all that are kin."""
    if (run / FILE).exists():
        write_text(folder / FILE, (run / FILE).read_text(encoding="utf-8"))
    else:
        (folder / FILE).unlink(missing_ok=True)
    both = [
        json.loads(path.read_text("utf-8")) for path in (folder / KIN, run / KIN) if path.exists()
    ]
    if both:
        write_text(folder / KIN, json.dumps(list(dict.fromkeys(chain(*both))), indent=1))


def of(run: RunFiles) -> dict[str, Found]:
    """Return what was measured of the judges of a run, by label."""
    path = run.path / FILE
    found: dict[str, Found] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return {label: {"some": {}, **one} for label, one in found.items()}


def section(run: RunFiles) -> Iterator[str]:
    """Yield the lines of the card; nothing where no judge was calibrated."""
    if not (found := of(run)):
        return
    yield "| judge | labelled rows | agreement | Cohen's kappa | 95 % | order decided |"
    yield "|---|--:|--:|--:|---|--:|"
    for label, one in found.items():
        order = one["order_bias_rate"]
        figures = [number(one["compared"]), f"{one['agreement_rate']:.1%}", f"{one['kappa']:.3f}"]
        figures += [f"{one['low']:.3f} to {one['high']:.3f}"]
        figures += [] if order is None else [f"{order:.1%}"]
        cells = [linked(figure, LABELLED) for figure in figures]
        yield f"| {' | '.join([code_span(label), *cells, *([''] if order is None else [])])} |"
    some = [
        f"- {code_span(label)}, {what}: {', '.join(map(_said, rows))}."
        for label, one in found.items()
        for what, rows in one["some"].items()
    ]
    if some:
        yield "\nSome of the labelled rows behind that, with what judge and label say:\n"
        yield from some


def _said(row: Sequence[str]) -> str:
    row_id, judged, label = row
    return f"`{row_id[:12]}` ({code_span(judged, 30)}, {code_span(label, 30)})"


def by_lengths(run: RunFiles) -> list[tuple[str, LengthRange]]:
    """Return for every judge of pairs how often the longer answer won, range by range."""
    return [
        (label, one)
        for label, fields in run.fields("verdicts").items()
        if {*LENGTHS} <= {*fields}
        for one in by_length(run.marks(label, LENGTHS).select(LENGTHS).drop_nulls().iter_rows())
    ]


def lengths(run: RunFiles) -> Iterator[str]:
    """Yield a line for every judge of pairs and range of lengths, over all pairs that it judged."""
    lines = [
        f"| {code_span(label)} | {one['difference']} | {leading(one['pairs'])} | {linked(share)} |"
        for label, one in by_lengths(run)
        for share in [f"{one['longer_wins']:.0%}"]
    ]
    if lines:
        yield "| judge | the other answer is shorter by | pairs | the longer one wins |"
        yield "|---|---|--:|--:|"
        yield from lines
        yield "\nA tie is half a win. Answers of equal length are left out."


def programs(run: RunFiles) -> Iterator[str]:
    """Yield a line for every critic that was asked what programs know, over all that it judged."""
    from gristmill.geometry.agreement import agreement

    lines = list[str]()
    for label, found in critics(run).items():
        said, known = (found[name].cast(pl.String).to_list() for name in KNOWN)
        one = agreement(said, known)
        approves, hold = (some.count("true") / len(some) for some in (said, known))
        kappa = f"{one.kappa.mean:.3f}", f"{one.kappa.low:.3f} to {one.kappa.high:.3f}"
        figures = number(len(said)), f"{one.rate:.1%}", *kappa, f"{approves:.1%}", f"{hold:.1%}"
        lines.append(f"| {' | '.join([code_span(label), *map(linked, figures)])} |")
    if lines:
        yield "| critic | constraints | agreement | Cohen's kappa | 95 % | it approves | hold |"
        yield "|---|--:|--:|--:|---|--:|--:|"
        yield from lines


def critics(run: RunFiles) -> dict[str, pl.DataFrame]:
    """Return what critics and programs said of the same constraints: a row's id and both, by label.

    A row has a line for each of its constraints.
    """
    found = {
        label: run.marks(label, KNOWN).explode(KNOWN).drop_nulls()
        for label, fields in run.fields("verdicts").items()
        if {*KNOWN} <= {*fields}
    }
    return {label: rows for label, rows in found.items() if len(rows)}


def kin(run: RunFiles) -> Iterator[str]:
    """Yield a limit for every judge that only its own family's answers had."""
    path = run.path / KIN
    for told in json.loads(path.read_text("utf-8")) if path.exists() else ():
        yield f"- {line(told, 300)}."


def _folder(workspace: Path) -> Path:
    return workspace / ".gristmill" / "calibrations"
