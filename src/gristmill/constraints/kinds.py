"""What a checkable constraint is: structured parameters, a template that says them, a check.

Source: Zhou et al., "Instruction-Following Evaluation for Large Language Models",
arXiv:2311.07911, section 2 (verifiable instructions).
Nothing here reads a text to find out what it asks for. A check is pure and linear in the length of
the response; what cannot be judged is an `error`, what takes too long a `timeout`, and no caller
counts either as a pass.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from gristmill.errors import InputError
from gristmill.text.mistakes import explain

Outcome = Literal["pass", "fail", "error", "timeout"]
Count = Annotated[int, Field(ge=0)]
Phrase = Annotated[str, Field(pattern=r"\S")]
"""A text that is not blank."""
Phrases = Annotated[list[Phrase], Field(min_length=1, max_length=100)]
MOST = 10_000
"""Parts of a response (lines, cells, ...) in all their forms that one check judges."""


class Found(NamedTuple):
    """What a check saw: whether the constraint holds, and what was measured."""

    holds: bool
    measured: str


class Verdict(NamedTuple):
    """What a check said; `error` and `timeout` mean that nothing could be told, and never pass."""

    outcome: Outcome
    measured: str

    @property
    def passed(self) -> bool:
        """Only a pass passes."""
        return self.outcome == "pass"

    @property
    def is_loose_too(self) -> bool:
        """Say of a strict verdict that the loose one needs no look: it passes, or takes longer."""
        return self.outcome in ("pass", "timeout")


class Kind:
    """One type of constraint: the keywords of its check are the schema of its parameters."""

    def __init__(
        self,
        check: Callable[..., Found],
        template: str | Mapping[str, str],
        refuse: Callable[[Mapping[str, Any]], str | None] = lambda _: None,
        most: int = MOST,
    ) -> None:
        """Take a check, its sentence, and what parameters that fit one by one may lack together.

        Args:
            check: `(text, *, ...) -> Found`, linear in the length of the text.
            template: A sentence with the keywords in braces; one per `op` where there are several.
            refuse: Gives the complaint about parameters, or None.
            most: Texts that one check judges; more of them are an error.
        """
        self.check = check
        self.template = template
        self.refuse = refuse
        self.most = most

    @cached_property
    def schema(self) -> type[BaseModel]:
        """The parameters, by the signature of the check."""
        hints = get_type_hints(self.check, include_extras=True)
        fields: dict[str, Any] = {
            name: (hints[name], ... if p.default is p.empty else p.default)
            for name, p in inspect.signature(self.check).parameters.items()
            if p.kind is p.KEYWORD_ONLY
        }
        return create_model(self.check.__name__, __config__=ConfigDict(extra="forbid"), **fields)

    def params(self, cid: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters, checked; one that is None is not there.

        Raises:
            InputError: one is missing, unknown or out of range.
        """
        there = {name: value for name, value in given.items() if value is not None}
        try:
            params = dict(self.schema(**there))
        except ValidationError as error:
            why = explain(error, self.schema.model_fields)
            raise InputError(f"constraint '{cid}': {why}") from error
        if complaint := self.refuse(params):
            raise InputError(f"constraint '{cid}': {complaint}")
        return params

    def text(self, params: Mapping[str, Any]) -> str:
        """Return the sentence that asks for it."""
        said = {name: _said(value) for name, value in params.items()}
        template = self.template if isinstance(self.template, str) else self.template[said["op"]]
        return template.format_map(said)


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
