"""Which ids are scored: contexts and responses, tokenised apart and joined as ids.

The context of a response ends with the response header, what the template writes between the
last message and the answer; an empty context is that header alone. Templates refuse an empty
conversation, so the header is what a conversation of one dummy message ends with.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from threading import Lock
from typing import Any

from gristmill.engines.requests import Message, Prompt
from gristmill.engines.tokens import chat_text, first_ids
from gristmill.errors import PromptRefused, RecipeError

DUMMY = "gristmill"
HEADINGS = {"system": "", "user": "### Instruction:\n", "assistant": "### Response:\n"}


class Spans:
    """The tokenizer and the template of one model. May be used from several threads."""

    def __init__(
        self, tokenizer: Any, template: str, model: str, *, with_end: bool = False
    ) -> None:
        self.tokenizer, self.model = tokenizer, model
        if with_end and tokenizer.eos_token_id is None:
            raise RecipeError(f"model '{model}' has no end token; set scores_end to false")
        self._end: list[int] = [tokenizer.eos_token_id] if with_end else []
        has_template = bool(tokenizer.chat_template)
        if template == "chat" and not has_template:
            raise RecipeError(
                f"model '{model}' has no chat template; set template to 'alpaca' or 'plain'"
            )
        self.template = ("chat" if has_template else "alpaca") if template == "auto" else template
        self._lock = Lock()
        """A fast tokenizer cannot be used from two threads at once."""
        self._labels: dict[tuple[str, ...], dict[str, list[int]]] = {}
        self.begin = self._begin()
        self.header = self._header()
        """Ids of an empty context; never empty."""

    def contexts(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Return the ids that go before the response, at least one each."""
        texts = [p if isinstance(p, str) else self.render(p) if p else "" for p in prompts]
        written = self._encode(texts)
        ids = []
        for prompt, found in zip(prompts, written, strict=True):
            begins = self.begin if isinstance(prompt, str) or self.template != "chat" else []
            ids.append([*begins, *found] if found else self.header if prompt == [] else self.anchor)
        return ids

    def responses(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of the responses, without special tokens; the end where it is scored."""
        return [[*ids, *self._end] if ids else ids for ids in self._encode(texts)]

    def first_ids(self, labels: tuple[str, ...]) -> dict[str, list[int]]:
        """Return the ids that each label of a judgement may begin with."""
        with self._lock:
            if labels not in self._labels:
                self._labels[labels] = first_ids(self.tokenizer, self.model, labels)
            return self._labels[labels]

    def render(self, messages: Sequence[Message]) -> str:
        """Return the text of a conversation, with the header of the answer that comes next."""
        if self.template == "chat":
            return self._chat(messages, header=True)
        if self.template == "plain":
            return "".join(f"{message['content']}\n" for message in messages)
        if unknown := {message["role"] for message in messages} - HEADINGS.keys():
            raise PromptRefused(
                f"the template 'alpaca' has no heading for the role {sorted(unknown)}, only for "
                f"{sorted(HEADINGS)}; score with a model whose chat template knows it"
            )
        turns = (f"{HEADINGS[m['role']]}{m['content']}\n\n" for m in messages)
        return "".join(turns) + HEADINGS["assistant"]

    @property
    def anchor(self) -> list[int]:
        """What a bare text begins with, so that its first token has a probability."""
        if self.begin:
            return self.begin
        tokenizer = self.tokenizer
        ids = [i for i in (tokenizer.bos_token_id, tokenizer.eos_token_id) if i is not None]
        if not ids:
            raise RecipeError(
                f"model '{self.model}' has neither a first nor a last token, so the first token of "
                "a bare text has no probability; use another model"
            )
        return ids[:1]

    @cached_property
    def ending(self) -> list[int]:
        """Ids that close an answer: trained, so that a model learns to stop, and never scored.

        What the template writes behind the answer, up to its first special token; else the
        tokenizer's last token, if it has one.
        """
        special = set(self.tokenizer.all_special_ids)
        if self.template == "chat":
            said: list[Message] = [{"role": "user", "content": DUMMY}]
            said.append({"role": "assistant", "content": DUMMY})
            ids = self._encode([self._chat(said, header=False).rpartition(DUMMY)[2]])[0]
            if ends := [i for i, id_ in enumerate(ids) if id_ in special]:
                return ids[: ends[0] + 1]
        last = self.tokenizer.eos_token_id
        return [] if last is None else [last]

    def _begin(self) -> list[int]:
        """Return the id that the tokenizer itself puts before a text, if any."""
        first = self.tokenizer.bos_token_id
        return [first] if first is not None and first in self.tokenizer("")["input_ids"] else []

    def _header(self) -> list[int]:
        if self.template == "plain":
            return self.anchor
        if self.template == "alpaca":
            return [*self.begin, *self._encode([HEADINGS["assistant"]])[0]]
        message: Message = {"role": "user", "content": DUMMY}
        try:
            without = self._chat([message], header=False)
            text = self._chat([message], header=True)
        except PromptRefused as error:
            raise RecipeError(str(error)) from error
        # A template without a header of its own closes the user's turn instead.
        header = text.removeprefix(without) or text.rpartition(DUMMY)[2]
        first = self.tokenizer.bos_token
        begins = first if first and text.startswith(first) else ""
        return self._encode([begins + header])[0] or self.anchor

    def _chat(self, messages: Sequence[Message], *, header: bool) -> str:
        try:
            return chat_text(self.tokenizer, messages, header=header)
        except PromptRefused as error:
            raise PromptRefused(
                f"'{self.model}': {error}; score with another model, or set template to 'alpaca' "
                "or 'plain'"
            ) from error

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        once = list(dict.fromkeys(texts))  # a response comes with its context and without
        if not once:
            return []
        with self._lock:
            encoded = self.tokenizer(once, add_special_tokens=False, verbose=False)
        ids: dict[str, list[int]] = dict(zip(once, encoded["input_ids"], strict=True))
        return [ids[text] for text in texts]
