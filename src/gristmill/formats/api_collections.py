"""Collections of APIs: files of descriptions that a stage draws from, pinned by their bytes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic import BaseModel, PrivateAttr, model_validator

from gristmill.errors import InputError
from gristmill.formats.api_files import apis_of
from gristmill.formats.others import PIN, absolute
from gristmill.storage.rows import Row
from gristmill.text.simulated_api import Endpoint
from gristmill.text.tool_calls import api_of


class Apis(BaseModel):
    """What stages that draw from a collection have in common."""

    apis: str = ""
    """File, folder or pattern of API descriptions, as for `seeds.use: openapi`."""
    pin: str = ""
    """Of `apis`; filled in from the files, an error where it differs."""

    _path: str = PrivateAttr()
    """The files from anywhere: workers of a cluster start in other folders."""

    @model_validator(mode="before")
    @classmethod
    def _pin(cls, given: dict[str, Any]) -> dict[str, Any]:
        if not (path := given.get("apis")):
            return given
        rows, pin = _read(str(path))
        if given.get("pin") not in (None, "", pin):
            raise InputError(f"apis {path}: {pin}, expected {given['pin']}")
        if not rows:
            raise InputError(f"apis: no file under {path} describes an API")
        return {**given, "pin": pin}

    def model_post_init(self, _: Any) -> None:
        """Remember the folder that the recipe was checked in."""
        (self._path,) = absolute([self.apis])

    def collection(self) -> list[Row]:
        """Return a row for each API, as `apis_of` gives it."""
        return _known(self._path, self.pin) if self.apis else []

    def functions(self, api: str) -> dict[str, Endpoint]:
        """Return the functions of a row's API, and of the collection, by their names."""
        texts = [api, *(row["api"] for row in self.collection())]
        return {one["name"]: one for text in texts for one in api_of(text)["endpoints"]}


@lru_cache(maxsize=4)
def _known(path: str, pin: str) -> list[Row]:
    """Read the files once per process and pin."""
    return _read(path)[0]


def _read(path: str) -> tuple[list[Row], str]:
    parts, hashed, _ = apis_of([path])
    return [row for part in parts for row in part.rows], hashed[:PIN]
