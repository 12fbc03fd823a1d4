"""A text classifier of yours, such as one of toxic comments, in vLLM's pooling.

Source: our own: the head's numbers become probabilities as in transformers' text classification,
each label's alone (sigmoid) where the config says that several may hold or there is one label
only, else together (softmax).
"""

from __future__ import annotations

from math import exp, isfinite, tanh
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from gristmill.engines.classifying import Classes, Classify
from gristmill.engines.models import locate
from gristmill.engines.pooled import Pooled, labels_in
from gristmill.engines.requests import Op
from gristmill.errors import EngineError, RecipeError


class Classifier(Pooled):
    """Reads texts as they are, without a chat template, with its tokenizer's own marks around."""

    ops: ClassVar[frozenset[Op]] = frozenset({"classify"})
    heads: ClassVar[str] = "labels that have probabilities"

    model: str
    """A folder, or a name on the Hub, of a `...ForSequenceClassification` that vLLM runs."""

    def fits(self, n_labels: int, problem: str) -> bool:
        """Say whether there is anything to tell: what a regression gives is no probability."""
        return n_labels > 0 and problem != "regression"

    def accept(self, where: str, stage: BaseModel) -> None:
        """Refuse a stage whose `labels` the model does not have, where its config is here."""
        folder = locate(self.model, self.revision)
        have = labels_in(folder) if isinstance(folder, Path) else None
        wanted = getattr(stage, "labels", ())
        if have is not None and (gone := sorted({*wanted} - {*have})):
            raise RecipeError(f"{where}: labels: '{self.model}' has no '{gone[0]}', but {have}")

    async def classify(self, request: Classify) -> Classes:
        """Read one text."""
        process = await self.running()
        ids: list[int] = process.tokens.tokenizer(request.text)["input_ids"]
        values = await self.logits(ids)
        if not all(map(isfinite, values)):
            raise EngineError(f"'{self.model}' gives {values} of a text of {len(ids)} tokens")
        config = process.engine.model_config.hf_config
        names = [config.id2label[i] for i in range(len(values))]
        shares = probabilities(values, config.problem_type)
        return Classes(dict(zip(names, shares, strict=True)), len(ids))


def probabilities(values: list[float], problem: str | None) -> list[float]:
    """Return the probability of every label, given the head's numbers and the config's problem."""
    if problem == "multi_label_classification" or len(values) == 1:
        return [(1 + tanh(value / 2)) / 2 for value in values]
    weights = [exp(value - max(values)) for value in values]
    return [weight / sum(weights) for weight in weights]
