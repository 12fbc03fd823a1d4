"""Other datasets: rows that a filter compares with beside its own, pinned by their bytes.

A dataset that was published is the index of what was accepted before (ADR 0022).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pydantic import BaseModel, PrivateAttr, model_validator

from gristmill.errors import InputError
from gristmill.formats.files import contents
from gristmill.formats.parts import parse
from gristmill.formats.readers import TABLES, SeedSpec, from_parts
from gristmill.storage.rows import Row

PIN = 12
"""Letters of a digest that a pin has."""


@dataclass(frozen=True)
class Others:
    """Rows of other datasets, in the order of their files."""

    names: list[str]
    """What the evidence calls every row: its own `id`, else one made of its content; its file."""
    rows: list[Row]


def pinned(given: dict[str, Any], name: str) -> dict[str, Any]:
    """Return parameters with the `pin` of the files that one of them names.

    Raises:
        InputError: A file is missing, or has changed since it was pinned.
    """
    paths = given.get(name)
    paths = [paths] if isinstance(paths, str) else paths
    if not paths or not isinstance(paths, list | tuple):
        return given
    hashed = blake2b(digest_size=16)
    for path in paths:
        for file, data in files(path, name):
            hashed.update(f"{file} {len(data)} ".encode() + data)
    pin = hashed.hexdigest()[:PIN]
    if given.get("pin") not in (None, "", pin):
        raise InputError(f"{name} {list(paths)}: {pin}, expected {given['pin']}")
    return {**given, "pin": pin}


def absolute(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the paths from anywhere: workers of a cluster start in other folders."""
    return tuple(str(Path(path).absolute()) if Path(path).exists() else path for path in paths)


@lru_cache(maxsize=1)
def _others(paths: tuple[str, ...], pin: str) -> Others:
    """Read the rows of files once per process and pin, in whatever shape a seed may have."""
    found = Others([], [])
    for path in paths:
        for file, data in files(path, "against"):
            seeds = from_parts([parse(file, data)], "", [], SeedSpec(path=path))
            found.rows.extend(seeds.rows)
            given = [row.get("id_original") for row in seeds.rows]
            found.names.extend(
                f"{own or made} in {file}" for own, made in zip(given, seeds.ids, strict=True)
            )
    return found


class Against(BaseModel):
    """What filters that compare rows have in common: other datasets to compare with."""

    against: tuple[str, ...] = ()
    """Files, folders or patterns of other datasets, such as `runs/NAME/dataset/data`: rows like one
    of theirs leave."""
    pin: str = ""
    """Of `against`; filled in from the files, an error where it differs."""

    @model_validator(mode="before")
    @classmethod
    def _pin(cls, given: dict[str, Any]) -> dict[str, Any]:
        return pinned(given, "against")

    _files: tuple[str, ...] = PrivateAttr()

    def model_post_init(self, _: Any) -> None:
        """Remember the folder that the recipe was checked in."""
        self._files = absolute(self.against)

    def known(self, columns: Collection[str]) -> Others:
        """Return the other rows; InputError where none of them has a column that is compared."""
        found = _others(self._files, self.pin)
        have = {name for row in found.rows for name in row}
        if found.rows and (missing := sorted({*columns} - have)):
            raise InputError(f"against: no row has {missing}, only {sorted(have)}")
        return found


def files(path: str, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every table that a path means; errors name the parameter."""
    try:
        yield from contents(path, (TABLES,), [])
    except InputError as error:
        raise InputError(f"{name}: {str(error).removeprefix('seeds.path: ')}") from error
