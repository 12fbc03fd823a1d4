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
import statistics
import sys
import tempfile
import time
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import yaml
from telling import data_folder, machine, tell

from gristmill.cli import main as build_dataset
from gristmill.engines.named import built
from gristmill.pipelines.stage import Stage

FOUND: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
WAYS: dict[str, list[dict[str, Any]]] = FOUND["ways"]
ENGINES: dict[str, dict[str, Any]] = {
    "scorer": {"use": "logprobs"},
    "judge": {"use": "logprobs"},
    "probe": {"use": "attention"},
    "models": {"use": "divergence", "dtype": "bfloat16"},
    "embedder": {"use": "sentence_transformers", "model": "minilm"},
    "trainer": {"use": "trainer", "epochs": 2, "batch_size": 8, "max_model_len": 128},
}
"""All but one run the model; `models` takes it in bfloat16 for a pruned one of itself."""


def write_rows(folder: Path, n: int) -> None:
    """Write n rows, half from each source, and as many prompts of other rows."""
    real, rng, other = data_folder(), Random(0), Random(1)
    lines, prompts = [], list[str]()
    for name in ("alpaca/random_9k", "dolly/dolly_3k"):
        source = name.partition("/")[0]
        rows = json.loads((real / f"{name}.json").read_text())
        drawn = rng.sample([row for row in rows if row["output"].strip()], n // 2)
        for i, row in enumerate(drawn):
            texts = {column: row[column] for column in ("instruction", "input", "output")}
            labels = {"source": source, "category": row.get("category", source)}
            lines.append(json.dumps({**texts, **labels, "is_validation": i % 8 == 0}))
        taken = {row["instruction"] for row in drawn}
        left = sorted({row["instruction"] for row in rows} - taken)
        prompts += [" ".join(text.split()) for text in other.sample(left, n // 2)]
    (folder / "rows.jsonl").write_text("\n".join(lines))
    (folder / "target.txt").write_text("\n".join(prompts))


def write_recipe(folder: Path, name: str, k: int, model: str) -> str:
    """Write the recipe of one line of the table."""
    given = {"{k}": k, "{target}": str(folder / "target.txt")}
    stages: list[dict[str, Any]] = [{"use": "filters.exact_duplicates"}]
    for stage in WAYS[name]:
        stages.append({key: given.get(str(value), value) for key, value in stage.items()})
    roles = {"trainer"}  # of the proof
    for stage in stages:
        module = import_module(f"gristmill.{stage['use']}")
        roles |= built(module, name, stage, Stage).needs().keys()
    engines = {role: {"model": model, **ENGINES[role]} for role in roles}
    if "models" in engines:
        engines["models"]["original"] = model
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
    parser.add_argument("--workspace", type=Path, help="keep what was trained here, to go on later")
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS))
    args = parser.parse_args()
    if args.quick:
        args.rows, args.held_out, args.k, args.seeds = 60, 12, 12, 3
        args.only = ["longest_answer", "k_center"]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as made:
        folder = args.workspace or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        write_rows(folder, args.rows)
        recipes = [write_recipe(folder, name, args.k, args.model) for name in args.only]
        command = [
            "prove", *recipes, "--input", str(folder / "rows.jsonl"), "--workspace", str(folder),
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
