"""Which selectors beat chance: every one in one table of `build-dataset prove`.

Claim: none. With `demo` as scorer and as the model that is trained, on rows of Alpaca and Dolly, it
says which selectors train better than random rows of the same number, which worse, and for which
nothing was found; it says nothing about other models. `--model NAME` takes a real one.

The rows are Alpaca's and Dolly's, half of each, from the folder that GRISTMILL_DATA names.

    python benchmarks/selection_pays.py [--quick] [--json] [--rows 240] [--k 40] [--only ifd kmq]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from random import Random
from typing import Any

import yaml
from telling import machine, tell

from gristmill.cli import main as build_dataset

VECTOR: dict[str, Any] = {"use": "scorers.embedding"}
IFD: dict[str, Any] = {"use": "scorers.ifd"}
STAGES: dict[str, list[dict[str, Any]]] = {
    "longest_instruction": [{"use": "selectors.longest"}],
    "longest_answer": [
        {"use": "scorers.word_count"},
        {"use": "selectors.top_k", "of": "scores.word_count.words"},
    ],
    "ifd": [IFD, {"use": "selectors.top_k", "of": "scores.ifd.ppl", "below": 1.0}],
    "ic_ifd": [
        {"use": "scorers.ic_ifd"},
        {"use": "selectors.top_k", "of": "scores.ic_ifd.score"},
    ],
    "easiest": [
        {"use": "scorers.perplexity"},
        {"use": "selectors.top_k", "of": "scores.perplexity.nll", "best": "lowest"},
    ],
    "k_center": [VECTOR, {"use": "selectors.k_center"}],
    "facility_location": [VECTOR, {"use": "selectors.facility_location"}],
    "kmq": [VECTOR, IFD, {"use": "selectors.kmq", "quality": "scores.ifd.ppl", "clusters": [16]}],
}


def write_rows(path: Path, n: int) -> None:
    """Write n rows, half from each source."""
    folder, rng = Path(os.environ["GRISTMILL_DATA"]), Random(0)
    lines = []
    for name in ("alpaca/random_9k", "dolly/dolly_3k"):
        rows = json.loads((folder / f"{name}.json").read_text())
        for row in rng.sample([row for row in rows if row["output"].strip()], n // 2):
            texts = {column: row[column] for column in ("instruction", "input", "output")}
            lines.append(json.dumps({**texts, "source": name.partition("/")[0]}))
    path.write_text("\n".join(lines))


def write_recipe(folder: Path, name: str, k: int, model: str) -> str:
    """Write the recipe of one selector."""
    *before, last = STAGES[name]
    stages = [{"use": "filters.exact_duplicates"}, *before, {**last, "k": k}]
    asked = {stage["use"] for stage in before}
    engines: dict[str, Any] = {}
    if asked & {"scorers.ifd", "scorers.ic_ifd", "scorers.perplexity"}:
        engines["scorer"] = {"use": "logprobs", "model": model}
    if "scorers.embedding" in asked:
        engines["embedder"] = {"use": "sentence_transformers", "model": "minilm"}
    how = {"epochs": 2, "batch_size": 8, "max_model_len": 128}
    engines["trainer"] = {"use": "trainer", "model": model, **how}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"name": name, "engines": engines, "stages": stages}))
    return str(path)


def main() -> None:
    """Read the arguments, prove, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="two selectors, 60 rows, 3 seeds")
    parser.add_argument("--rows", type=int, default=240)
    parser.add_argument("--held-out", type=int, default=60)
    parser.add_argument("--k", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--only", nargs="+", choices=STAGES, default=list(STAGES))
    args = parser.parse_args()
    if args.quick:
        args.rows, args.held_out, args.k, args.seeds = 60, 12, 12, 3
        args.only = ["longest_answer", "k_center"]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_rows(folder / "rows.jsonl", args.rows)
        recipes = [write_recipe(folder, name, args.k, args.model) for name in args.only]
        command = [
            "prove", *recipes, "--input", str(folder / "rows.jsonl"), "--workspace", made,
            "--held-out", str(args.held_out), "--seeds", str(args.seeds), "--json",
        ]  # fmt: skip
        with redirect_stdout(io.StringIO()) as out:
            code = build_dataset(command)
        if code:
            sys.exit(code)
    lines = json.loads(out.getvalue().splitlines()[-1])["lines"]
    chance = statistics.median(line["arms"]["random"]["loss"] for line in lines)
    ratios = [line["arms"]["random"]["loss"] / line["arms"]["selected"]["loss"] for line in lines]
    result = {
        "name": "selection_pays",
        "ratio": statistics.median(ratios),
        "baseline": chance,
        "unit": "nats per token",
        "seconds": time.perf_counter() - start,
        "model": args.model,
        "lines": lines,
    }
    sys.stdout.write(f"{machine('torch', 'transformers')}\n")
    tell(result, as_json=args.json)


if __name__ == "__main__":
    main()
