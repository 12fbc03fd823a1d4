"""Rows of a dataset on the Hub: all of a split, or its first ones without the rest."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from gristmill.errors import InputError


def from_hub(
    name: str, subset: str | None = None, limit: int | None = None, **which: str | None
) -> pa.Table:
    """Load rows of a dataset on the Hub: `which` names a split and a revision.

    With a limit it is streamed: what comes after those rows is not downloaded.

    Raises:
        InputError: It cannot be loaded.
    """
    import datasets
    from huggingface_hub.errors import HfHubHTTPError

    # Of whichever HTTP library huggingface_hub is built on: it has changed twice.
    network: tuple[Any, ...] = HfHubHTTPError.__bases__
    try:
        if limit is None:
            return datasets.load_dataset(name, subset, **which).with_format("arrow")[:]
        found = datasets.load_dataset(name, subset, streaming=True, **which)
        rows = list(found.take(limit))
    except (*network, OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise InputError(f"hub:{name} cannot be loaded: {error}") from error
    return pa.Table.from_pylist(rows, found.features.arrow_schema if found.features else None)
