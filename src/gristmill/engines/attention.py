"""Attention from answers to what the user said, in one layer of a model.

Source: Wang et al., "On the Loss of Context-awareness in General Instruction Fine-tuning",
arXiv:2411.02688, and its code: per response token, the attention of each head that falls on tokens
of the user; the head with the most counts; the mean over the response.
Differs from the code: tokens of the user are found by their place in the rendered text, for any
template, and not by ids of role markers; the layer is a share of the model's depth. Fused attention
kernels keep no weights, so the model runs in `eager` mode, one conversation at a time: memory grows
with the square of the tokens, of one layer only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import cached_property
from threading import Lock
from typing import Any, ClassVar

from pydantic import Field, PrivateAttr

from gristmill.engines.attending import Attend, Attended
from gristmill.engines.lanes import Precision, lanes, package_version
from gristmill.engines.loaded import Loaded, window_of
from gristmill.engines.models import fingerprint
from gristmill.engines.requests import Message, Op
from gristmill.engines.tokens import chat_text
from gristmill.errors import EngineError, PromptRefused, RecipeError
from gristmill.storage.ids import digest

Span = tuple[int, int]


class Attention(Loaded):
    """A causal language model with a chat template that shows where it looks."""

    ops: ClassVar[frozenset[Op]] = frozenset({"attend"})

    depth_rate: float = Field(default=0.7, ge=0, lt=1)
    """Which layer, as a share (0..1) of all: the paper takes layer 15 of 22."""
    max_model_len: int = Field(default=2047, ge=8)
    """Tokens that the model reads; what is beyond is cut, and answers beyond have no value."""
    dtype: Precision = "float32"

    _live: Any = PrivateAttr(default=None)

    @cached_property
    def identity(self) -> str:
        """Name the weights and everything else that decides a value."""
        versions = [package_version("torch"), package_version("transformers")]
        how = [self.depth_rate, self.max_model_len, self.dtype, versions]
        return f"attention:{digest(fingerprint(self.model, self.revision), how)}"

    def _load(self) -> None:
        tokenizer, model = self._causal(self.dtype, attn_implementation="eager")
        if not tokenizer.chat_template or not tokenizer.is_fast:
            raise RecipeError(f"model '{self.model}' has no chat template or no fast tokenizer")
        window = window_of(model, self.max_model_len)
        self._live = Watcher(model, tokenizer, self.depth_rate, window)

    async def stop(self) -> None:
        """Forget the model."""
        self._live = None

    async def attend(self, request: Attend) -> Attended:
        """Read one conversation."""
        loop = asyncio.get_running_loop()
        found: Attended = await loop.run_in_executor(lanes(), self._live.read, request.messages)
        return found


class Watcher:
    """A loaded model, one conversation at a time."""

    def __init__(self, model: Any, tokenizer: Any, depth_rate: float, window: int) -> None:
        self.model, self.tokenizer, self.window = model, tokenizer, window
        blocks = [m for name, m in model.named_modules() if name.endswith(("attn", "attention"))]
        if not blocks:
            raise RecipeError(f"{type(model).__name__} has no attention blocks that can be watched")
        self._lock, self._seen = Lock(), list[Any]()
        blocks[int(depth_rate * len(blocks))].register_forward_hook(self._keep)

    def read(self, messages: Sequence[Message]) -> Attended:
        """Return, for every answer, the attention that it pays to the user."""
        import torch

        text, spans = places(self._render, messages)
        with self._lock, torch.inference_mode():
            coded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            ids, offsets = coded["input_ids"], coded["offset_mapping"][: self.window]
            self._seen.clear()
            row = torch.tensor([ids[: self.window]], device=self.model.device)
            self.model.base_model(input_ids=row, use_cache=False)
            if not self._seen or self._seen[0] is None:
                raise EngineError(f"{type(self.model).__name__} gives no attention weights")
            weights = self._seen[0][0].float().cpu()  # (heads, tokens, tokens)
        said = [[i for i, at in enumerate(offsets) if _within(at, span)] for span in spans]
        roles = [message["role"] for message in messages]
        asked = [i for role, its in zip(roles, said, strict=True) if role == "user" for i in its]
        values = [
            strongest(weights[:, its][:, :, [i for i in asked if i < its[0]]].sum(2).tolist())
            if its
            else None
            for role, its in zip(roles, said, strict=True)
            if role == "assistant"
        ]
        return Attended(values, len(offsets), len(ids) > len(offsets))

    def _keep(self, block: Any, inputs: Any, output: Any) -> None:
        self._seen.append(output[1])

    def _render(self, messages: Sequence[Message]) -> str:
        return chat_text(self.tokenizer, messages, header=False)


def strongest(masses: Sequence[Sequence[float]]) -> float:
    """Return the mean over tokens of the largest head, (heads, tokens) -> 0..1."""
    most: list[float] = [max(column) for column in zip(*masses, strict=True)]
    return min(1.0, sum(most) / len(most))


def places(
    render: Callable[[Sequence[Message]], str], messages: Sequence[Message]
) -> tuple[str, list[Span]]:
    """Return a rendered conversation and where each content stands in it.

    The template's own words are learnt from contents that occur nowhere else. PromptRefused for a
    template that rewrites what was said.
    """
    marks = [f"\ue000{i}\ue001" for i in range(len(messages))]
    shape = render([{**m, "content": mark} for m, mark in zip(messages, marks, strict=True)])
    text = render(messages)
    for contents in ([m["content"] for m in messages], [m["content"].strip() for m in messages]):
        built, rest, spans = "", shape, list[Span]()
        for mark, content in zip(marks, contents, strict=True):
            before, _, rest = rest.partition(mark)
            built += before + content
            spans.append((len(built) - len(content), len(built)))
        if built + rest == text:
            return text, spans
    raise PromptRefused("the chat template rewrites or leaves out what was said")


def _within(token: Span, span: Span) -> bool:
    """Say whether a token is a part of a span."""
    return max(token[0], span[0]) < min(token[1], span[1])
