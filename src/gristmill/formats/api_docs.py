"""Parameters that are read from files: the documented parts of a library, and its modules."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator

from gristmill.errors import InputError
from gristmill.formats.files import contents
from gristmill.formats.parts import parse

MAX_CHARS = 100_000
"""Of all modules together: they go into the sandbox with every program."""


class Api(NamedTuple):
    """A documented function or class."""

    path: str
    """As it is imported: `shop.prices.price_of`."""
    signature: str
    description: str

    def __str__(self) -> str:
        """Say what it is on one line."""
        said = " ".join(self.description.split())
        first, dot, _ = said.partition(". ")
        return f"{self.path}{self.signature}: {first}{dot.strip()}"


def _read_docs(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = []
    for name, data in _files(value, {".jsonl", ".json"}):
        part = parse(name, data)
        for line, row in zip(part.lines, part.rows, strict=True):
            texts = [row.get(key) for key in Api._fields]
            if not all(isinstance(text, str) for text in texts) or not texts[0]:
                fields = ", ".join(Api._fields)
                raise ValueError(f"{name} line {line}: an API needs the texts {fields}")
            found.append(tuple(texts))
    return tuple(found)


def _read_modules(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        found = tuple((name, data.decode()) for name, data in _files(value, {".py"}))
    except UnicodeDecodeError as error:
        raise ValueError(f"{value}: not UTF-8: {error}") from error
    if (n := sum(len(text) for _, text in found)) > MAX_CHARS:
        raise ValueError(f"{value}: {n} characters of modules, at most {MAX_CHARS}")
    return found


def _files(path: str, endings: set[str]) -> list[tuple[str, bytes]]:
    try:
        return list(contents(path, [endings], []))
    except InputError as error:
        raise ValueError(str(error).removeprefix("seeds.path: ")) from error


Docs = Annotated[tuple[Api, ...], BeforeValidator(_read_docs)]
"""APIs, or the file that has `path`, `signature` and `description` of each."""
Modules = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_read_modules)]
"""Names and texts of Python files, or the folder with them."""
