"""An engine that answers from rules: tests, examples and dry runs."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
from pathlib import Path
from typing import ClassVar

from gristmill.engines.base import Engine
from gristmill.engines.requests import Completion, Generate, Op, Prompt
from gristmill.errors import PromptTooLong
from gristmill.storage.ids import digest


class Scripted(Engine):
    r"""Answer with the first rule whose pattern is found in the prompt's last message.

    A reply is a template as in `re.Match.expand`; `{draw}` becomes one digit of the draw, so
    that sampled answers differ from each other but never from run to run.
    """

    ops: ClassVar[frozenset[Op]] = frozenset({"generate"})

    rules: tuple[tuple[str, str], ...] = (("(?s).*", r"\g<0>"),)
    log: Path | None = None
    """A file that gets one line per answered request, written by the engine itself."""
    max_words: int | None = None
    """Longest prompt, as a model's context would have it."""
    max_delay_s: float = 0.0
    """Answers take a random time up to this: completion order is then random."""

    @property
    def identity(self) -> str:
        """Name the rules."""
        return f"scripted:{digest(self.rules)}"

    async def generate(self, request: Generate) -> Completion:
        """Answer after a random wait."""
        n_words = len(last(request.prompt).split())
        if self.max_words is not None and n_words > self.max_words:
            raise PromptTooLong(f"{n_words} words, at most {self.max_words} fit")
        if self.max_delay_s:
            # Not ctx.rng: only the order of completion depends on it, as it would on hardware.
            await asyncio.sleep(random.uniform(0, self.max_delay_s))
        text = self.reply(request)
        if self.log:
            line = json.dumps({"key": request.key(self.identity)}) + "\n"
            handle = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            os.write(handle, line.encode())
            os.close(handle)
        prompt = last(request.prompt)
        return Completion(text, "stop", len(prompt.split()), len(text.split()), "scripted")

    def reply(self, request: Generate) -> str:
        """Return the text of the answer: a pure function of the request."""
        prompt = last(request.prompt)
        for pattern, template in self.rules:
            if found := re.search(pattern, prompt):
                return found.expand(template).replace("{draw}", str((request.draw or 0) % 10))
        return ""


def last(prompt: Prompt) -> str:
    """Return the text of a prompt's last message."""
    return prompt if isinstance(prompt, str) else prompt[-1]["content"]
