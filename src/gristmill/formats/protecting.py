"""What the filters have in common that keep benchmarks out: the sets, pinned, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, PrivateAttr, model_validator

from gristmill.errors import InputError
from gristmill.formats.annotations import arrow
from gristmill.formats.benchmarks import load, rows_of, verified
from gristmill.storage.rows import CONTENT
from gristmill.text.overlaps import MAX_RATE, Protected

PIN = 12
"""Letters of a digest that a pin has."""
NONE = "no benchmark was registered"
"""What a card and `check` say of a stage that names no benchmark where there is none."""
WRITTEN = {"flags": CONTENT["flags"], "hit": arrow(str)}
"""Columns of a row that stays with a flag."""


class Protecting(BaseModel):
    """Parameters that name benchmarks; their pins make another set another run."""

    benchmarks: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Names in the registry. None: all that it has when the recipe is checked; where it has none,
    nothing is compared, and `check`, `run` and the card say so."""
    registry: str = ".gristmill/benchmarks.json"
    """Its file, from the current folder on: that of the default workspace."""
    action: Literal["drop", "flag"] = "drop"
    """`flag` keeps the row, with the flag `contaminated` and the evidence in `hit`."""
    max_rate: float = Field(default=MAX_RATE, ge=0, le=1)
    """Share (0..1) of flagged rows in the dataset above which `publish` refuses it."""
    pins: tuple[str, ...] = ()
    """`NAME=DIGEST` per benchmark; filled in from the registry, an error where they differ."""

    @model_validator(mode="before")
    @classmethod
    def _pin(cls, given: dict[str, Any]) -> dict[str, Any]:
        registry = Path(given.get("registry") or cls.model_fields["registry"].default)
        names = given.get("benchmarks")
        if names is None:  # all that there was when it was checked, where that is told
            known = given.get("pins") or load(registry)
            names = sorted(pin.rpartition("=")[0] or pin for pin in known)
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            return given
        pins = tuple(f"{name}={verified(registry, name)[0].sha256[:PIN]}" for name in names)
        if given.get("pins") and sorted(given["pins"]) != sorted(pins):
            raise InputError(f"{registry} pins {list(pins)}, expected {list(given['pins'])}")
        return {**given, "pins": pins}

    _file: str = PrivateAttr()
    """The registry from anywhere: workers of a cluster start in other folders."""

    def model_post_init(self, _: Any) -> None:
        """Remember the folder that the recipe was checked in."""
        self._file = str(Path(self.registry).absolute())


def protected(registry: str, pins: tuple[str, ...]) -> list[Protected]:
    """Return the rows of the benchmarks that are pinned."""
    names = [pin.rpartition("=")[0] for pin in pins]
    return [row for name in names for row in rows_of(Path(registry), name)]
