"""Prompts for a base model: a system text, then examples made of tagged parts, the last one open.

The text of a prompt is the exact beginning of the text with all parts filled in, so that a model
can be trained on the second and asked with the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

HEADER = "### Example"


class Form(NamedTuple):
    """One kind of prompt: what is asked for, and the parts of an example in order."""

    system: str
    parts: tuple[str, ...]

    @property
    def stop(self) -> tuple[str, ...]:
        """The strings that end an answer: the last part's closing tag, the next header."""
        return f"</{self.parts[-1]}>", HEADER

    def render(self, blocks: Sequence[Mapping[str, str]]) -> str:
        """Return the text up to the first part that a block lacks."""
        text = self.system + "\n"
        for number, block in enumerate(blocks, 1):
            text += f"\n{HEADER} {number}\n"
            for part in self.parts:
                if part not in block:
                    return f"{text}<{part}>\n"
                text += f"<{part}>\n{block[part]}\n</{part}>\n"
        return text


def halves(n: int) -> Iterator[int]:
    """Yield how many worked examples to try until a prompt fits: n, n // 2 and so on to 0."""
    while n:
        yield n
        n //= 2
    yield 0
