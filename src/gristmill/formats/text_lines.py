"""A parameter that is a list of texts, or the path of a file with one on each line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator


def read_lines(value: Any) -> Any:
    """Return the lines of a file that is named by a text; any other value as it is."""
    if not isinstance(value, str):
        return value
    try:
        lines = Path(value).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {value!r} as lines of text: {error}") from error
    return tuple(line for line in lines if line.strip())


Lines = Annotated[tuple[str, ...], BeforeValidator(read_lines)]
