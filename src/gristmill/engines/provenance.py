"""Where a model comes from: what is pinned, under which licence, with whose code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from gristmill.engines.models import commit, fingerprint, locate, public_name

TIMEOUT_S = 10.0


def origin(model: str, revision: str | None, *, code: bool = False) -> dict[str, Any]:
    """Return what the lock keeps of a model: what is pinned, its licence, whether its code runs.

    `pinned` is the commit on the Hub or the hash of a folder's files; `licence` is None where none
    is stated.
    """
    at = fingerprint(model, revision).rpartition("@")[2]
    terms = licence(model, revision)
    named = {"model": public_name(model), "pinned": at, "licence": terms}
    return {**named, "trust_remote_code": code}


def licence(model: str, revision: str | None = None) -> str | None:
    """Return the licence that a model's own card states; the Hub is asked where no card is here."""
    where = locate(model, revision)
    if isinstance(where, Path) and (card := where / "README.md").is_file():
        return _stated(_front_matter(card.read_text(encoding="utf-8", errors="replace")))
    if isinstance(where, Path) and where.parent.name != "snapshots":
        return None  # a folder that is nobody's copy of the Hub
    if os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on"):
        return None
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    network: tuple[Any, ...] = HfHubHTTPError.__bases__
    try:
        found = HfApi().model_info(model, revision=commit(model, revision), timeout=TIMEOUT_S)
    except (*network, OSError):
        return None
    return _stated(vars(found.card_data)) if found.card_data else None


def _front_matter(text: str) -> Any:
    parts = text.split("---\n", 2)
    try:
        return yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else None
    except yaml.YAMLError:
        return None


def _stated(card: Any) -> str | None:
    """Return the name of a licence; "other" gives way to the name that stands beside it."""
    card = card if isinstance(card, dict) else {}
    said = card.get("license_name") if card.get("license") == "other" else None
    said = said or card.get("license")
    return ", ".join(map(str, said)) if isinstance(said, list) else said and str(said)
