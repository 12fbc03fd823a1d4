"""Files that trainers read beside their data: where each export lies and what its columns mean.

`exports/dataset_info.json` is LLaMA-Factory's registry (`dataset_dir: exports`), `axolotl.yaml` and
`axolotl_dpo.yaml` are the `datasets` of an Axolotl configuration. TRL and Unsloth read the exports
as they are. Source: the reader of the registry in LLaMA-Factory 0.9.5, the prompt strategies
of Axolotl 0.19, the preparation of datasets in unsloth_zoo 2026.10.9.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from gristmill.storage.shards import write_text

REGISTRY, AXOLOTL, AXOLOTL_DPO = (
    f"exports/{name}" for name in ("dataset_info.json", "axolotl.yaml", "axolotl_dpo.yaml")
)
FILES = (REGISTRY, AXOLOTL, AXOLOTL_DPO)
EXPORT = re.compile(
    r"exports/(?P<form>[\w-]+)/(?P<split>train|validation)(-(?P<version>v\d+))?\.jsonl"
)
TAGS = ("role", "content", "user", "assistant", "observation", "function", "system")
CHATML, SHAREGPT = (
    {f"{tag}_tag": name for tag, name in zip(TAGS, names.split(), strict=True)}
    for names in (
        "role content user assistant tool function system",
        "from value human gpt tool function_call system",
    )
)
"""All of them: a registry that names some unsets the others."""
ENTRIES: dict[str, dict[str, Any]] = {
    "alpaca": {"columns": {"prompt": "instruction", "query": "input", "response": "output"}},
    "sharegpt": {
        "formatting": "sharegpt",
        "columns": {"messages": "conversations"},
        "tags": SHAREGPT,
    },
    "messages": {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": CHATML},
    "ranking": {
        "formatting": "sharegpt",
        "ranking": True,
        "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"},
        "tags": SHAREGPT,
    },
}
SETS: dict[str, dict[str, Any]] = {
    "messages": {"type": "chat_template", "field_messages": "messages"},
    "sharegpt": {
        "type": "chat_template",
        "field_messages": "conversations",
        "message_property_mappings": {"role": "from", "content": "value"},
    },
    "alpaca": {"type": "alpaca"},
}
"""Of Axolotl, the best one first: the template of the trainee is better than a fixed prompt."""
PAIRS = {
    "type": "chat_template.default",
    "field_messages": "prompt",
    "field_chosen": "chosen",
    "field_rejected": "rejected",
}


def write(folder: Path, files: Collection[str]) -> list[str]:
    """Write what trainers of the exports of a dataset folder read, and return the files' names.

    Of a dataset that grows every version has entries of its own, `messages_v0002`.
    """
    there = {form: _splits(files, form) for form in (*ENTRIES, "preference")}
    entries: dict[str, Any] = {}
    for form, entry in ENTRIES.items():
        for file, (split, version) in there[form].items():
            name = "_".join(filter(None, (form, split.removeprefix("train"), version)))
            place = {"file_name": file.removeprefix("exports/")}
            entries[name] = {**place, **entry, **_more(form, folder / file)}
    best = next((form for form in SETS if there[form]), None)
    texts: dict[str, str] = {}
    if entries:
        texts[REGISTRY] = json.dumps(entries, indent=2) + "\n"
    if best:
        texts[AXOLOTL] = yaml.safe_dump(_axolotl(SETS[best], there[best]), sort_keys=False)
    if there["preference"]:
        told = {"rl": "dpo", **_axolotl(PAIRS, there["preference"])}
        texts[AXOLOTL_DPO] = yaml.safe_dump(told, sort_keys=False)
    for name, text in texts.items():
        write_text(folder / name, text)
    for name in FILES:
        if name not in texts:
            (folder / name).unlink(missing_ok=True)
    return list(texts)


def _splits(files: Collection[str], form: str) -> dict[str, tuple[str, str]]:
    """Return split and version, empty in a plain run, of the files of an export, train first."""
    found = {name: EXPORT.fullmatch(name) for name in sorted(files)}
    return {name: (at["split"], at["version"] or "") for name, at in found.items()
            if at and at["form"] == form}  # fmt: skip


def _more(form: str, file: Path) -> dict[str, Any]:
    """Return what an entry says otherwise because of what stands in the file."""
    columns = ENTRIES[form]["columns"]
    if form == "alpaca" and _has(file, "history"):
        return {"columns": {**columns, "system": "system", "history": "history"}}
    if form != "alpaca" and _has(file, "tool_calls"):
        # The reader of ShareGPT's turns knows no `tool_calls`; this one does, under any tags. It
        # says "detailed thinking off" in front of rows without tools.
        return {"formatting": "openai", "columns": {**columns, "tools": "tools"}}
    return {}


def _has(file: Path, name: str) -> bool:
    """Say whether any line has a key; inside a text its quotation marks would be escaped."""
    with file.open(encoding="utf-8") as opened:
        return any(f'"{name}":' in line for line in opened)


def _axolotl(kind: dict[str, Any], files: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    sets: dict[str, list[dict[str, Any]]] = {}
    for file, (split, _) in files.items():
        place = {"path": file, "ds_type": "json", "split": "train"}
        name = "datasets" if split == "train" else "test_datasets"
        sets.setdefault(name, []).append({**place, **kind})
    return sets
