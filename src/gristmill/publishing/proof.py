"""Whether the selection pays: what `build-dataset prove` measured, kept beside the run's ledger.

Every line compares one recipe with random rows of its own pool and with all of it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from gristmill.publishing.charts import number
from gristmill.publishing.escape import code_span
from gristmill.publishing.files import RunFiles
from gristmill.storage.ids import digest
from gristmill.storage.shards import write_text

FILE = "proof.json"
HEADS = ("recipe", "rows", "of", "tokens", "loss", "random", "selected - random", "", "everything",
         "selected - everything", "")  # fmt: skip
RIGHT = (1, 2, 3, 4, 5, 6, 8, 9)
"""Columns of numbers."""
PASS_HEADS = ("recipe", "pass rate", "random", "selected - random", "", "everything",
              "selected - everything", "")  # fmt: skip
PASS_RIGHT = (1, 2, 3, 5, 6)


def save(run: RunFiles, lines: Sequence[Mapping[str, Any]]) -> None:
    """Keep what was measured; it holds for the rows that the run has now."""
    told = {"kept": digest(run.kept.to_list()), "lines": lines}
    write_text(run.path / FILE, json.dumps(told, indent=1))


def section(run: RunFiles) -> Iterator[str]:
    """Yield the lines of the card; nothing where the run's rows were not measured."""
    path = run.path / FILE
    told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if told.get("kept") != digest(run.kept.to_list()):
        return
    first = told["lines"][0]
    yield f"{about(first)}\n"
    yield from _table(HEADS, RIGHT, map(cells, told["lines"]))
    yield (
        "\nSmaller is better. Random rows are as many as the selected ones and come from what "
        "reached the first selector, as does everything. In brackets: 95 % intervals by a paired "
        "bootstrap over rows and seeds; `no difference` means that 0 is inside."
    )
    if "passes" in first:
        yield f"\n{about_passes(first)}\n"
        yield from _table(PASS_HEADS, PASS_RIGHT, map(pass_cells, told["lines"]))


def _table(
    heads: Sequence[str], right: Collection[int], rows: Iterable[Sequence[str]]
) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join('--:' if i in right else '---' for i in range(len(heads)))}|"
    for name, *others in rows:
        yield f"| {' | '.join([code_span(name, 80), *others])} |"


def about(line: Mapping[str, Any]) -> str:
    """Say what was measured on, in one sentence."""
    return (
        f"Loss in nats per token on {number(line['held_out'])} held-out rows of the model "
        f"{code_span(line['model'], 80)}, trained with {line['seeds']} seeds; {line['before']:.4f} "
        "before training."
    )


def cells(line: Mapping[str, Any]) -> list[str]:
    """Return a line of the table as texts."""
    arms = line["arms"]
    made = [line["recipe"], *(number(arms[name]["rows"]) for name in ("selected", "everything"))]
    made += [number(arms["selected"]["tokens"]), f"{arms['selected']['loss']:.4f}"]
    for name in ("random", "everything"):
        gap = line["against"][name]
        made += [f"{arms[name]['loss']:.4f}", _gap(gap), verdict(gap)]
    return made


def about_passes(line: Mapping[str, Any]) -> str:
    """Say whose programs were run, in one sentence."""
    return (
        f"Share (0..1) of the {number(line['passes']['tasks'])} tasks held out for which a program "
        "that the trained model writes passes their tests in the sandbox; one greedy answer each, "
        "larger is better."
    )


def pass_cells(line: Mapping[str, Any]) -> list[str]:
    """Return a line of the table of pass rates as texts."""
    passes = line["passes"]
    made = [line["recipe"], f"{passes['rates']['selected']:.3f}"]
    for name in ("random", "everything"):
        gap = passes["against"][name]
        made += [f"{passes['rates'][name]:.3f}", _gap(gap), verdict(gap, larger="better")]
    return made


def verdict(gap: Mapping[str, float], larger: Literal["better", "worse"] = "worse") -> str:
    """Say on which side of 0 an interval lies; a lower loss is better, a lower pass rate worse."""
    if gap["low"] <= 0 <= gap["high"]:
        return "no difference"
    return larger if gap["low"] > 0 else "worse" if larger == "better" else "better"


def _gap(gap: Mapping[str, float]) -> str:
    return f"{gap['mean']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]"
