"""What an aligned model sees before a question, and how a question is told from what follows.

Source: Xu et al., "Magpie", arXiv:2406.08464, section 2.1; `magpie-align/magpie` (code MIT).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from gristmill.text.turns import Turn


class Template(NamedTuple):
    """A chat template: a whole turn, the head of the user's, and the strings that end one."""

    turn: str
    head: str
    controls: tuple[str, ...]

    def open(self, said: Sequence[Turn]) -> str:
        """Return turns and the head of the next; a control string in a text is none any more."""
        shown = [(turn["role"], turn["content"]) for turn in said]
        for i, mark in product(range(len(shown)), self.controls):
            role, content = shown[i]
            shown[i] = role, content.replace(mark, mark.replace("<|", "< |"))
        turns = (self.turn.format(role=role, content=content) for role, content in shown)
        return "".join(turns) + self.head


TEMPLATES = {
    "chatml": Template(
        "<|im_start|>{role}\n{content}<|im_end|>\n",
        "<|im_start|>user\n",
        ("<|im_start|>", "<|im_end|>", "<|endoftext|>"),
    ),
    "llama3": Template(
        "<|start_header_id|>{role}<|end_header_id|>\n\n{content}<|eot_id|>",
        "<|start_header_id|>user<|end_header_id|>\n\n",
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|end_of_text|>"),
    ),
    "demo": Template(
        "<|{role}|>\n{content}<|end|>\n",
        "<|user|>\n",
        ("<|end|>", "<|user|>", "<|assistant|>", "<|system|>"),
    ),
}
"""Without the token that begins a text: tokenizers add it."""
ASSISTANT = re.compile(r"assistant[ \t]*(?:\n|$)")
"""The head of the next turn as it looks where a server hides control tokens."""
LIST_MARK = re.compile(r"^(?:[-*\u2022]\s+|\d{1,2}[.)]\s+|#+\s+)")
ANSWER_MARK = re.compile(r"(?:answer|response|output|a)\s*:\s*\Z", re.I)
QUOTED = re.compile("\"([^\"]+)\"|'([^']+)'|\u201c([^\u201d]+)\u201d")


def cleaned(text: str, controls: tuple[str, ...]) -> str:
    """Return a question up to the next turn, without quotes, list mark and answer marker."""
    ends = [text.find(mark) for mark in controls] + [m.start() for m in ASSISTANT.finditer(text)]
    text = text[: min((end for end in ends if end >= 0), default=len(text))].strip()
    text = _unmarked(LIST_MARK.sub("", text)).strip()
    quoted = QUOTED.fullmatch(text)
    return quoted[quoted.lastindex or 0].strip() if quoted else text


def _unmarked(text: str) -> str:
    """Return a text without a marker at its end that stands on a line or behind a sentence."""
    if not (found := ANSWER_MARK.search(text)):
        return text
    before = text[: found.start()].rstrip()
    stands = not before or before[-1] in ".?!" or "\n" in text[len(before) : found.start()]
    return before if stands else text
