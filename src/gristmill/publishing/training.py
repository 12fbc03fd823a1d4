"""The card on training: which file is for which trainer, and the few lines that start it."""

from __future__ import annotations

from collections.abc import Iterator

from gristmill.formats.trainers import AXOLOTL, AXOLOTL_DPO, REGISTRY
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
    there = [name for name in (REGISTRY, AXOLOTL, AXOLOTL_DPO) if _has(run, name)]
    for name in there:
        if name == REGISTRY:
            yield (
                "- LLaMA-Factory: `dataset_dir: exports` and a `dataset` of "
                f"`{name}`, such as `messages`; its pairs are in `ranking`."
            )
        else:
            yield f"- Axolotl: the lines of `{name}`, beside `base_model` and what else you set."


def _has(run: RunFiles, name: str) -> bool:
    return (run.path / "dataset" / name).exists()
