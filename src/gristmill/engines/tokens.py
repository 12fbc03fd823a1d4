"""A model's tokenizer and chat template: prompts to token ids, token ids to text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from gristmill.engines.models import commit, locate, template_hash
from gristmill.engines.requests import Message, Prompt
from gristmill.errors import PromptRefused, RecipeError

LAST = 6
"""Prompt tokens in front of a text while it is decoded: a first space depends on its left side."""


class Tokens:
    """The tokenizer of one model. Equal prompts that follow each other are encoded once."""

    def __init__(
        self, model: Path | str, revision: str | None = None, *, trust_remote_code: bool = False
    ) -> None:
        from transformers import AutoTokenizer

        self.tokenizer: Any = AutoTokenizer.from_pretrained(
            str(model), revision=revision, trust_remote_code=trust_remote_code
        )
        self.model = str(model)
        self.template = template_hash(self.tokenizer.chat_template)
        self._known: dict[Any, list[int]] = {}

    def encode(self, prompt: Prompt) -> list[int]:
        """Return the ids of a prompt: text as it is, messages through the chat template."""
        chat = not isinstance(prompt, str)
        key = tuple((m["role"], m["content"]) for m in prompt) if chat else prompt  # type: ignore[index]
        if (ids := self._known.get(key)) is None:
            if len(self._known) >= 4096:
                self._known.clear()
            text = self.render(prompt)
            ids = self.tokenizer(text, add_special_tokens=not chat)["input_ids"]
            self._known[key] = ids
        return ids

    def render(self, prompt: Prompt) -> str:
        """Return the text that the model reads, up to where its answer begins."""
        if isinstance(prompt, str):
            return prompt
        if not self.template:
            raise no_template(self.model)
        return chat_text(self.tokenizer, prompt, header=True)

    def decode(self, prompt: Sequence[int], ids: Sequence[int]) -> str:
        """Return the text that the ids add to a prompt, special tokens left out."""
        before = list(prompt[-LAST:])
        left: str = self.tokenizer.decode(before, skip_special_tokens=True)
        both: str = self.tokenizer.decode([*before, *ids], skip_special_tokens=True)
        if both.startswith(left):
            return both[len(left) :]
        alone: str = self.tokenizer.decode(ids, skip_special_tokens=True)
        return alone

    def first_ids(self, labels: Sequence[str]) -> dict[str, list[int]]:
        """Return the first ids of every way to write each label: as it is, after a space."""
        return first_ids(self.tokenizer, self.model, labels)


_reading = Lock()
"""Held by who reads a tokenizer to look for its template: the others wait for what is found."""


def has_template(model: str, revision: str | None = None) -> bool:
    """Say whether a model can be asked with messages: its tokenizer is read, once, in a second.

    A tokenizer that cannot be read says no more than that: its engine tells why as it starts.
    """
    with _reading:
        return _has_template(model, revision)


@cache
def _has_template(model: str, revision: str | None) -> bool:
    where = locate(model, revision)
    if isinstance(where, Path):
        config = where / "tokenizer_config.json"
        if (where / "chat_template.jinja").is_file() or (
            config.is_file() and '"chat_template"' in config.read_text("utf-8")
        ):
            return True
        revision = None
    else:
        revision = commit(model, revision)
    try:
        return bool(Tokens(where, revision).template)
    except Exception:  # noqa: BLE001 - broken files raise KeyError, AttributeError and Rust's own
        return True


def no_template(model: str) -> RecipeError:
    """Return what is wrong with messages for a model that only continues text."""
    return RecipeError(
        f"model '{model}' has no chat template, so it cannot be asked with messages; "
        "use a chat model, or a stage that gives it plain text to continue"
    )


def chat_text(tokenizer: Any, messages: Sequence[Message], *, header: bool) -> str:
    """Return a conversation as a chat template writes it; `header` opens the next answer.

    PromptRefused where the template cannot: many know no system, or two turns of one side.
    """
    from jinja2 import TemplateError

    try:
        text: str = tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=header
        )
    except (TemplateError, TypeError, ValueError) as error:
        roles = [message["role"] for message in messages]
        raise PromptRefused(f"the chat template refuses turns of {roles}: {error}") from error
    return text


def first_ids(tokenizer: Any, model: str, labels: Sequence[str]) -> dict[str, list[int]]:
    """Return the first ids of every way to write each label: as it is, after a space."""

    def plain(text: str) -> list[int]:
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    found: dict[str, list[int]] = {}
    owner: dict[int, str] = {}
    for label in labels:
        written = [plain(label), plain(f" {label}")]
        # A space that is a token of its own begins every label and tells none of them.
        ids = sorted({ids[0] for ids in written if ids and ids[:1] != plain(" ")[:1]})
        for id_ in ids:
            if owner.setdefault(id_, label) != label:
                raise RecipeError(
                    f"labels '{owner[id_]}' and '{label}' begin with the same token of "
                    f"'{model}'; give labels that differ in their first letter"
                )
        found[label] = ids
    return found
