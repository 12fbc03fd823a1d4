"""The card on training: which file is for which trainer, and the few lines that start it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from gristmill.formats.trainers import AXOLOTL, AXOLOTL_DPO, ENTRIES, REGISTRY
from gristmill.publishing.files import RunFiles

SNIPPET = """```python
from datasets import load_dataset
from trl import {kind}Config, {kind}Trainer

rows = load_dataset("json", data_files="{files}", split="train")
{kind}Trainer("{model}", args={kind}Config(output_dir="trained"), train_dataset=rows).train()
```"""
TRL = (("messages", "SFT"), ("prompt-completion", "SFT"), ("preference", "DPO"))
"""The exports that TRL and Unsloth read as they are, by trainer."""
MODEL = "YOUR_MODEL"


def section(run: RunFiles) -> Iterator[str]:
    """Yield a snippet per trainer of TRL, and a line per file for others."""
    files = run.note.get("dataset") or {}
    done = set[str]()
    for form, kind in TRL:
        if kind in done or not any(name.startswith(f"exports/{form}/train") for name in files):
            continue
        done.add(kind)
        names = f"exports/{form}/train*.jsonl"
        yield f"With TRL, also by way of Unsloth's models ({kind}, in this folder):\n"
        yield SNIPPET.format(kind=kind, files=names, model=MODEL) + "\n"
    if (registry := run.path / "dataset" / REGISTRY).exists():
        entries = json.loads(registry.read_text(encoding="utf-8"))
        for form in ENTRIES:
            sets = [name for name in entries if re.fullmatch(rf"{form}(_v\d+)?", name)]
            if sets:
                what = ", for pairs" if form == "ranking" else ""
                said = f"`dataset_dir: exports` and `dataset: {','.join(sets)}`"
                yield f"- LLaMA-Factory, by `{REGISTRY}`{what}: {said}."
    for name in (AXOLOTL, AXOLOTL_DPO):
        if (run.path / "dataset" / name).exists():
            yield f"- Axolotl: the lines of `{name}`, beside `base_model` and what else you set."
