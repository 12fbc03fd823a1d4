"""The dataset card: what the rows are, what was thrown away and why, and how to build them again.

The front matter is dumped as YAML, text from rows stands in code spans on one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from gristmill.errors import InputError
from gristmill.formats import marks
from gristmill.formats.exports import NOTES
from gristmill.publishing import (
    behind,
    calibration,
    changelog,
    contamination,
    croissant,
    facts,
    licences,
    origins,
    pairs,
    proof,
    rebuilding,
    reviewed,
    spent,
    trainee,
    training,
    verified,
)
from gristmill.publishing.charts import LOST, PAID, ROWS, leading, linked, number
from gristmill.publishing.escape import code_span, line
from gristmill.publishing.files import RunFiles
from gristmill.publishing.seal import seal
from gristmill.storage.shards import write_text
from gristmill.text.plurals import counted

EXAMPLE_CHARS = 160
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
LOADING = """```python
from datasets import load_dataset

rows = load_dataset("path/to/this/folder", split="train")
```"""
COLUMNS = {
    "id": "name of the row, made from its parents, stage and position",
    "parents": "ids of the rows that it was made from",
    "root": "id of its seed",
    "stage": "stage that made it",
    "round": "round in which it was made",
    "instruction": "what is asked; of a conversation, what the user says first",
    "input": "text that the instruction is about",
    "output": "the answer; of a conversation, what the assistant says last",
    "messages": "the conversation, turn by turn: all that was said, in order",
    "prompt": "what both answers of a pair reply to",
    "chosen": "the better answer",
    "rejected": "the worse answer",
    "lang": "language of the text or code",
    "source": "where the seed came from",
    "license": "licence of the seed",
    "flags": "remarks by stages",
    "gen": "the call that wrote the text: model, revision, template, finish reason, tokens",
    "meta": "JSON: what only one method knows",
    "calls": "keys of the answers that it was made from",
}
STRUCTS = {
    "scores": "score by `{}`",
    "weights": "weight by `{}`",
    "verdicts": "verdict by `{}`; null means that it could not be judged",
    "picks": "place in the selection by `{}`",
}


def write(path: Path) -> Path:
    """Write the card and the recipe into a finished run's dataset folder; return the card's path.

    The recipe goes along so that the folder alone says how to build it again; of this machine's
    files it has the names, not the paths. `croissant.json` is the card for machines.

    Raises:
        InputError: There is no finished run here, or it has no dataset, or an edited one.
    """
    run, folder = RunFiles.open(path), path / "dataset"
    if run.is_stopped:
        raise InputError(
            f"{path} has no dataset: it stopped because too many rows failed; repair the cause and "
            "run its recipe again"
        )
    croissant.check(folder)  # files that came are those of a new version
    recipe = yaml.safe_dump(rebuilding.portable(run.recipe), sort_keys=False, allow_unicode=True)
    write_text(folder / "recipe.yaml", recipe)
    (folder / marks.FILE).unlink(missing_ok=True)
    if (said := path / marks.FILE).exists():
        write_text(folder / marks.FILE, said.read_text(encoding="utf-8"))
    croissant.write(run)
    write_text(folder / "README.md", render(run))  # last: where it is, all of this is
    return folder / "README.md"


def render(run: RunFiles) -> str:
    """Return the card as Markdown."""
    parts: list[tuple[str, Iterable[str]]] = [
        ("Changelog", changelog.section(run)),
        ("Files", _files(run)),
        ("Train on it", training.section(run)),
        ("What the trainee reads", trainee.section(run)),
        ("Build it again", rebuilding.section(run)),
        ("Yield", _yield(run)),
        ("How pairs were made", pairs.section(run)),
        ("Verification", _verification(run)),
        ("How far the judges agree with people", calibration.section(run)),
        ("How far critics agree with programs", calibration.programs(run)),
        ("Whether judges like length", calibration.lengths(run)),
        ("What people marked", reviewed.section(run)),
        ("Contamination", contamination.section(run)),
        ("Does the selection pay?", proof.section(run)),
        ("Examples of what was rejected", _rejected(run)),
        ("Sources", _sources(run)),
        ("Models", origins.section(run)),
        ("Cost", _cost(run)),
        ("What each command paid", spent.section(run)),
        ("Known limits", verified.limits(run)),
        ("Columns", _columns(run)),
        (behind.TITLE, behind.section(run)),
    ]
    body = [f"---\n{front_matter(run)}---\n", f"# {run.name}\n", *_summary(run)]
    for title, lines in parts:
        if found := list(lines):
            body += [f"\n## {title}\n", *found]
    return seal("\n".join(body))


def front_matter(run: RunFiles) -> str:
    """Return the Hub's metadata as YAML."""
    generated = any(use.startswith("generators.") for use in run.uses.values())
    languages, codes = _languages(run)
    known = {
        "pretty_name": line(run.name, 100),
        **licences.follows(licences.of_run(run)),
        "language": [*languages, *(["code"] if codes else [])],
        "size_categories": [_size(len(run.kept))],
        "task_categories": ["text-generation"],
        "tags": ["gristmill", *(["synthetic"] if generated else []), *codes],
        "configs": _configs(run),
    }
    given = {name: value for name, value in known.items() if value}
    return yaml.safe_dump(given, sort_keys=False, allow_unicode=True)


def _languages(run: RunFiles) -> tuple[list[str], list[str]]:
    """Return ISO codes and names of programming languages among the rows' languages."""
    found = {str(lang).lower() for lang in run.langs}
    iso = sorted(lang for lang in found if re.fullmatch("[a-z]{2,3}", lang))
    return iso, sorted(
        lang for lang in found - set(iso) if re.fullmatch("[a-z][a-z+#-]{2,20}", lang)
    )


def _size(n: int) -> str:
    return next((name for limit, name in SIZES if n < limit), "n>1M")


def _configs(run: RunFiles) -> list[dict[str, Any]]:
    splits = [
        {"split": split, "path": f"data/{split}-*.parquet"}
        for split in ("train", "validation")
        if any(file.name.startswith(f"{split}-") for file in run.data)
    ]
    # The exports are no configurations: load_dataset reads all of a folder as one format.
    return [{"config_name": "default", "data_files": splits, "default": True}]


def _summary(run: RunFiles) -> Iterator[str]:
    note, target = run.note, run.recipe.get("target")
    first = counted(run.stages[0]["in"] if run.stages else 0, "seed")
    yield f"[{counted(len(run.kept))}]({ROWS}), built from [{first}]({ROWS}) by gristmill."
    aim = f" (target: {counted(target)} before the selection)" if target else ""
    if known := changelog.versions(run):
        yield f"This is v{len(known)} of a dataset that grows; rows stay unless people mark them."
    by_hand = "" if (run.path / marks.FILE).exists() else " Nothing here was checked by hand."
    yield f"The run stopped at: {note.get('stop')}{aim}.{by_hand}\n"
    yield LOADING


def _files(run: RunFiles) -> Iterator[str]:
    files = run.note.get("dataset")
    if not files:
        return
    yield "| file | rows |"
    yield "|---|--:|"
    yield from (f"| {code_span(name, 200)} | {leading(n, name)} |" for name, n in files.items())
    if run.left_out:
        yield ""
    for name, note in run.left_out.items():
        counts = {
            **{f"left out ({why})": n for why, n in note["left_out"].items()},
            "cut after the last answer": note["cut"],
            "without the system prompt": note["without_system"],
        }
        said = ", ".join(f"{why} {leading(n, NOTES)}" for why, n in counts.items() if n)
        yield f"- Rows that {code_span(name, 200)} does not have as they are: {said}."


def _yield(run: RunFiles) -> Iterator[str]:
    yield "| stage | in | made | kept | rejected | failed | why |"
    yield "|---|--:|--:|--:|--:|--:|---|"
    for at in facts.lines(run):
        c = at.counts
        why = ", ".join(
            f"{code_span(code, 60)} {leading(n, LOST)}" for code, n in c["codes"].items()
        )
        counts = [leading(c[name]) for name in ("in", "made", "kept")]
        cells = [at.label, *counts, leading(at.lost, LOST), leading(c["failed"], LOST)]
        yield f"| {' | '.join(cells)} | {why} |"
    for label, use in run.uses.items():
        if "duplicates" in use:
            gone = next(at.lost for at in facts.lines(run) if at.label == label)
            yield f"\nDuplicates removed by `{label}`: {leading(gone, LOST)}."


def _verification(run: RunFiles) -> Iterator[str]:
    found = list(facts.verdicts(run))
    if not found:
        return
    yield from verified.section(run)
    yield "\n| verifier | column | rows | found |"
    yield "|---|---|--:|---|"
    for label, column, counts in found:
        total = sum(n for _, n in counts)
        shares = ((w, n, linked(f"{n / total:.1%}")) for w, n in counts if n)
        said = ", ".join(f"{code_span(w)} {leading(n)} ({share})" for w, n, share in shares)
        yield f"| {label} | {column} | {leading(total)} | {said} |"


def _rejected(run: RunFiles) -> Iterator[str]:
    found = facts.lost_examples(run, 3)
    if not found:
        return
    yield "| stage | code | row | evidence | text |"
    yield "|---|---|---|---|---|"
    for (stage, code), rows in found.items():
        for row in rows:
            longest = max((text for _, text in row.texts), key=len, default="")
            text = code_span(longest, EXAMPLE_CHARS)
            why = code_span(row.detail, EXAMPLE_CHARS)
            yield f"| {stage} | {code_span(code, 60)} | `{row.id[:12]}` | {why} | {text} |"


def _sources(run: RunFiles) -> Iterator[str]:
    yield "| source | licence | seeds |"
    yield "|---|---|--:|"
    for source, licence, n in facts.first_sources(run):
        yield f"| {code_span(source, 100)} | {code_span(licence, 80)} | {leading(n)} |"
    if (bad := facts.malformed(run)) is not None:
        told = f"{number(bad)}; `malformed.jsonl` of the run has them" if bad else "0"
        yield f"\nLines of the input that could not be read and were left out: {told}."
    yield from (f"\n- {code_span(remark, 300)}" for remark in facts.remarks(run))
    yield from licences.section(run)


def _cost(run: RunFiles) -> Iterator[str]:
    kept = len(run.kept) or 1
    yield "| | in all | per row |"
    yield "|---|--:|--:|"
    for name, n in facts.costs(run):
        yield f"| {name} | {leading(n, PAID if run.bills else ROWS)} | {leading(n / kept)} |"


def _columns(run: RunFiles) -> Iterator[str]:
    yield "| column | type | meaning |"
    yield "|---|---|---|"
    for name, kind, meaning in _explained(run.data_schema):
        yield f"| {code_span(name, 100)} | {code_span(str(kind), 60)} | {meaning} |"


def _explained(schema: pa.Schema) -> Iterator[tuple[str, pa.DataType, str]]:
    for field in schema:
        if field.name not in STRUCTS:
            yield field.name, field.type, COLUMNS.get(field.name, "brought by the seeds")
            continue
        for label in (field.type.field(i) for i in range(field.type.num_fields)):
            for column in (label.type.field(i) for i in range(label.type.num_fields)):
                meaning = STRUCTS[field.name].format(label.name)
                yield f"{field.name}.{label.name}.{column.name}", column.type, meaning
