"""One training: a causal language model, its optimizer, and the losses at its checkpoints.

Pairs are turned into ids by the rules of the log-prob engine and go through its forward pass, so
the loss before any training is that engine's. Training adds only the ids that close an answer.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gristmill.engines.buckets import WAVE, Work, cut
from gristmill.engines.lanes import find_device, quiet_loading
from gristmill.engines.lessons import Lesson, ranked_wrongly
from gristmill.engines.logprobs import MAX_LOGITS
from gristmill.engines.models import pinned
from gristmill.engines.reader import Reader, Span
from gristmill.engines.requests import Score
from gristmill.engines.spans import Spans
from gristmill.engines.training import LOSSES, Pair, Ranked, Train, Trained
from gristmill.errors import EngineError, PromptTooLong, RecipeError, StorageError
from gristmill.storage.ids import digest
from gristmill.text.plurals import counted

if TYPE_CHECKING:
    from gristmill.engines.trainer import Trainer

log = logging.getLogger(__name__)

MAX_NORM = 1.0
"""Gradients longer than this are scaled down, as the trainers of the field do by default."""


class Fit:
    """A model under training. Used by one thread."""

    def __init__(self, how: Trainer, request: Train, stopping: Event) -> None:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

        name = request.model or how.model
        revision = request.revision if request.model else how.revision
        which = pinned(name, revision)
        quiet_loading()
        self.how, self.request, self.stopping = how, request, stopping
        self.kept = AutoConfig.from_pretrained(**which).dtype or torch.float32
        self.tokenizer: Any = AutoTokenizer.from_pretrained(**which)
        self.precision = getattr(torch, how.precision)
        # What an optimizer adds to a weight is lost in bfloat16: trained weights are float32.
        held = self.precision if how.lora_rank else torch.float32
        self.model: Any = AutoModelForCausalLM.from_pretrained(**which, dtype=held)
        self.model.to(find_device()).eval()  # no dropout: a training is a function of its request
        head, config = self.model.get_output_embeddings(), self.model.config.get_text_config()
        if head is None:
            raise RecipeError(f"model '{name}' is no causal language model: it has no head")
        own = getattr(config, "max_position_embeddings", None) or how.max_model_len
        spans = Spans(self.tokenizer, how.template, name)
        self.reader = Reader(self.model, head, spans, min(how.max_model_len, own))
        budget = how.batch_tokens or (1024 if find_device() == "cpu" else 8192)
        self.budget = min(budget, MAX_LOGITS // config.vocab_size)
        self.losses: list[dict[str, float]] = []
        """Per checkpoint: id to nats per token, of the pairs that could be scored."""
        if how.lora_rank:
            self._adapt()
        self.optimizer = self._optimizer()

    def run(self, folder: Path) -> Trained:
        """Train, score at every checkpoint, and save the model."""
        rows, held_out = self._read(self.request.rows), self._read(self.request.held_out)
        lessons = [lesson for lesson in rows if lesson.pair.weight]
        if not lessons:
            raise PromptTooLong(
                f"of {counted(len(self.request.rows))} of a training none has a response that fits "
                f"max_model_len={self.reader.window}; raise it, or give rows with shorter prompts"
            )
        n_tokens = self._train(lessons, [*rows, *held_out])
        asked = [*self.request.rows, *self.request.held_out]
        read = [lesson.scored for lesson in (*rows, *held_out)]
        n_cut = sum(len(span.ids) - span.start < span.n_response for span in read)
        log.info(
            "trained=%d tokens=%d cut=%d skipped=%d nll=%s",
            len(lessons), n_tokens, n_cut, len(asked) - len(read),
            [round(float(np.mean(list(found.values()))), 4) for found in self.losses],
        )  # fmt: skip
        self._save(folder)
        table = self._table([pair.id for pair in asked])
        return Trained(str(folder), table, n_tokens, n_cut, len(asked) - len(read))

    def _read(self, pairs: Sequence[Pair]) -> list[Lesson]:
        """Turn pairs into ids; those with nothing to score are left out."""
        lessons = []
        for i in range(0, len(pairs), WAVE):
            part = pairs[i : i + WAVE]
            asked = [Score(pair.context, pair.response) for pair in part]
            for pair, made in zip(part, self.reader.prepare(asked), strict=True):
                if isinstance(made, Work):
                    closed = self._closed(made.payload)
                    lessons.append(Lesson(pair, made.payload, closed, self._candidates(pair)))
        return lessons

    def _candidates(self, pair: Pair) -> list[tuple[Span, float]]:
        if not isinstance(pair, Ranked):
            return []
        made = self.reader.prepare([Score(pair.context, text) for text in pair.candidates])
        found = zip(made, pair.scores, strict=True)
        return [(one.payload, score) for one, score in found if isinstance(one, Work)]

    def _closed(self, span: Span) -> Span:
        is_whole = len(span.ids) - span.start == span.n_response
        ids = [*span.ids, *(self.reader.spans.ending if is_whole else [])]
        return Span(ids[: self.reader.window], span.start, span.n_response)

    def _train(self, lessons: list[Lesson], scored: list[Lesson]) -> int:
        """Go through the batches; return the number of tokens."""
        n_updates = self.how.epochs * math.ceil(len(lessons) / self.how.batch_size)
        k = self.how.checkpoints
        marks = {math.ceil(n_updates * i / k) for i in range(1, k + 1)}
        n_tokens = 0
        self._measure(scored)
        for number, batch in enumerate(self._batches(lessons), 1):
            if self.stopping.is_set():
                raise EngineError("the trainer was stopped")
            share = share_of_rate(number, n_updates, self.how.warmup_rate)
            for group in self.optimizer.param_groups:
                group["lr"] = self.how.learning_rate * share
            self._update(batch, number)
            n_tokens += sum(len(lesson.trained.ids) for lesson in batch)
            if number in marks:
                self._measure(scored)
        return n_tokens

    def _batches(self, lessons: list[Lesson]) -> Iterator[list[Lesson]]:
        """Shuffle anew in every epoch, by the seed."""
        for epoch in range(self.how.epochs):
            order = list(lessons)
            Random(digest(self.request.seed, epoch)).shuffle(order)
            for i in range(0, len(order), self.how.batch_size):
                yield order[i : i + self.how.batch_size]

    def _update(self, batch: list[Lesson], number: int) -> None:
        """Step down the weighted mean over the tokens of a batch, in parts that fit in memory."""
        import torch

        def n_trained(lesson: Lesson) -> int:
            return len(lesson.trained.ids) - lesson.trained.start

        total = sum(lesson.pair.weight * n_trained(lesson) for lesson in batch)
        for part in cut(batch, self.budget, lambda lesson: lesson.n_read):
            weights = [weight for lesson in part for weight in lesson.weights]
            with self._cast():
                found = self.reader.log_probs([span for lesson in part for span in lesson.spans])
            loss = -(found * torch.tensor(weights, device=found.device)).sum()
            ((loss + ranked_wrongly(part, found)) / total).backward()
        norm = torch.nn.utils.clip_grad_norm_(self._weights(), MAX_NORM)
        if not torch.isfinite(norm):
            raise RecipeError(
                f"training diverged at update {number}: its gradient is not finite; lower "
                f"learning_rate, found {self.how.learning_rate}"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _measure(self, lessons: list[Lesson]) -> None:
        """Add a checkpoint: the mean loss of every response."""
        import torch

        losses = {}
        for part in cut(lessons, self.budget, lambda lesson: len(lesson.scored.ids)):
            spans = [lesson.scored for lesson in part]
            with torch.no_grad(), self._cast():
                found = self.reader.log_probs(spans).double().cpu().numpy()
            ends = np.cumsum([len(span.ids) - span.start for span in spans])
            for lesson, values in zip(part, np.split(found, ends[:-1]), strict=True):
                losses[lesson.pair.id] = -float(values.mean())
        if not np.isfinite(list(losses.values())).all():
            raise RecipeError("training diverged: a loss is not finite; lower learning_rate")
        self.losses.append(losses)

    def _table(self, ids: list[str]) -> pa.Table:
        places = range(len(self.losses))
        columns = [
            [id_ for _ in places for id_ in ids],
            [place for place in places for _ in ids],
            [self.losses[place].get(id_) for place in places for id_ in ids],
        ]
        arrays = [pa.array(c, f.type) for c, f in zip(columns, LOSSES, strict=True)]
        return pa.table(arrays, schema=LOSSES)

    def _cast(self) -> Any:
        import torch

        is_mixed = self.precision != torch.float32
        return torch.autocast(find_device(), self.precision, enabled=is_mixed)

    def _weights(self) -> list[Any]:
        return [weight for weight in self.model.parameters() if weight.requires_grad]

    def _optimizer(self) -> Any:
        """Return AdamW; biases and norms do not decay."""
        import torch

        groups: list[dict[str, Any]] = [
            {"params": [w for w in self._weights() if w.ndim >= 2]},
            {"params": [w for w in self._weights() if w.ndim < 2], "weight_decay": 0.0},
        ]
        filled = [group for group in groups if group["params"]]
        return torch.optim.AdamW(filled, self.how.learning_rate, weight_decay=self.how.weight_decay)

    def _adapt(self) -> None:
        """Train low-rank additions to every linear layer instead of the weights."""
        import torch
        from peft import LoraConfig, get_peft_model

        rank = self.how.lora_rank
        config = LoraConfig(
            r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        with torch.random.fork_rng():  # their first values come from torch's own generator
            torch.manual_seed(int(digest("lora", self.request.seed)[:15], 16))
            self.model = get_peft_model(self.model, config)

    def _save(self, folder: Path) -> None:
        """Write a folder that is either complete or not there."""
        model = self.model.merge_and_unload() if self.how.lora_rank else self.model
        part = folder.with_suffix(".part")
        try:
            for stale in (part, folder):
                shutil.rmtree(stale, ignore_errors=True)
            part.mkdir(parents=True)
            model.to(self.kept).save_pretrained(part)
            for name in ("is_local", "local_files_only"):  # where its base was
                self.tokenizer.init_kwargs.pop(name, None)
            self.tokenizer.save_pretrained(part)
            for path in (*part.iterdir(), part):
                _sync(path)
            part.rename(folder)
            _sync(folder.parent)
        except OSError as error:
            raise StorageError(
                f"cannot write the trained model {folder}: {error.strerror or error}; make room "
                "(or rights) and run the same command again"
            ) from error


def share_of_rate(number: int, n_updates: int, warmup_rate: float) -> float:
    """Return the share of the learning rate at update 1..n: a linear warm-up, then a cosine."""
    n_warm = math.ceil(warmup_rate * n_updates)
    if number <= n_warm:
        return number / n_warm
    return 0.5 * (1 + math.cos(math.pi * (number - n_warm - 1) / (n_updates - n_warm)))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
