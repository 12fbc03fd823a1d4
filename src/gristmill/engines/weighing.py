"""What the filters have in common that ask a model whether a text is harmful."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal

from pydantic import BaseModel, Field

from gristmill.engines.classifying import Classes
from gristmill.engines.handles import Llm
from gristmill.engines.requests import Message, Op, Probs

LABELS = ("1", "0")


class Weighing(BaseModel):
    """Ask a judge, or a classifier of the user's; its parameters."""

    action: Literal["drop", "flag"] = "drop"
    """`flag` keeps the row, with what was found in its columns and a flag where it is harmful."""
    threshold: float = Field(default=0.5, gt=0, le=1)
    """Probability (0..1) from which on a text is harmful."""
    labels: tuple[str, ...] = ()
    """Labels of a classifier that you name as the role `classifier`; the likeliest of them counts.
    Without any the role `judge` is asked."""

    def needs(self) -> dict[str, Op]:
        """The judge gives the probabilities of two digits, the classifier those of its labels."""
        return {"classifier": "classify"} if self.labels else {"judge": "choice"}

    def weigh(
        self, text: str, prompt: str, llm: Callable[[str], Llm]
    ) -> Coroutine[Any, Any, tuple[float | None, str]]:
        """Return a probability, None where the judge gives none, and what a detail tells of it.

        A judge reads the prompt, a classifier the text alone. Numbered when called, as any call.
        """
        if self.labels:
            return self._classified(llm("classifier").classify(text))
        ask: list[Message] = [{"role": "user", "content": prompt}]
        return self._judged(llm("judge").choice(ask, LABELS))

    async def _classified(self, asked: Awaitable[Classes]) -> tuple[float | None, str]:
        probability, label = (await asked).likeliest(self.labels)
        return probability, f"{label} {probability:.2f}"

    async def _judged(self, asked: Awaitable[Probs]) -> tuple[float | None, str]:
        probs = await asked
        if not probs.is_complete:
            return None, f"mass {probs.mass:.2f}"
        return probs.values["1"], f"{probs.values['1']:.2f}"
