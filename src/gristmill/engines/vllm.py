"""vLLM in this process: one `AsyncLLM`, fed with token ids, that never streams.

Sources: vLLM 0.32, `vllm.v1.engine.async_llm`. `engines/remote.py` puts the same engine into a
Ray actor. vLLM starts processes of its own, not by `fork`, so a script needs the usual
`if __name__ == "__main__":`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar, get_args

from pydantic import Field

from gristmill.engines import response_rules
from gristmill.engines.entropies import Entropies, Entropy, bounds
from gristmill.engines.models import fingerprint, locate, public_name
from gristmill.engines.reader import NOT_FINITE, Span, fitted
from gristmill.engines.requests import (
    Choice,
    Completion,
    Finish,
    Generate,
    LogProbs,
    Op,
    Probs,
    Request,
    Score,
)
from gristmill.engines.tokens import no_template
from gristmill.engines.vllm_model import VllmModel, positions
from gristmill.engines.vllm_process import Process
from gristmill.errors import EngineError, PromptTooLong, RecipeError
from gristmill.storage.ids import digest

LIKELIEST = 20
"""Tokens of a distribution that vLLM shows unless it is told otherwise at its start."""


class Vllm(VllmModel):
    """Writes, judges by one token and scores. A prompt longer than the model is a rejected row.

    A prompt must leave room for one token; `max_tokens` shrinks to the room that is left, and a
    text that fills it ends by "length". A dead or silent engine is started again, and the
    requests that it held raise `EngineError`, so they are asked again. A response is scored by the
    log-probs of a prompt, which vLLM never takes from its cache of prefixes; with messages as the
    engine `logprobs` reads them. Of a distribution it shows the likeliest 20 tokens: entropies are
    the middle of what is possible. Memory for log-probs is not in vLLM's own account: lower
    `gpu_memory_utilization` or `max_num_batched_tokens` where it runs out.
    """

    ops: ClassVar[frozenset[Op]] = frozenset({"generate", "choice", "score", "entropy"})
    trainable: ClassVar[bool] = True

    max_repeats: int | None = Field(default=32, ge=2)
    """A text ends by `repetition` when its last tokens, up to 32 of them, stand there so many times
    in a row: rows that loop are what everybody else waits for. None: it goes on to `max_tokens`."""
    response_rules: bool = False
    """Have a base model answer by three rules on its next tokens, without tuning or examples
    (arXiv:2409.14254, section 5); what it scores is as before."""

    @property
    def identity(self) -> str:
        """Name weights, tokenizer, template, precision and length; not memory, not replicas."""
        made = [
            self.precision(),
            self.quantization,
            self.kv_cache_dtype,
            self.max_model_len,
            self.seed,
            self.max_repeats,
            *(response_rules.RULES if self.response_rules else []),
        ]
        return f"vllm:{digest(fingerprint(self.model, self.revision), made)}"

    def check(self) -> None:
        """Raise when vLLM, the model or the length that was asked for is not there."""
        super().check()
        folder = locate(self.model, self.revision)
        longest = positions(folder) if isinstance(folder, Path) else None
        if longest and self.max_model_len and self.max_model_len > longest:
            raise RecipeError(
                f"max_model_len={self.max_model_len}, but '{self.model}' was made for at most "
                f"{longest} tokens; lower max_model_len"
            )

    async def foresee(self, request: Request) -> None:
        """Refuse messages that the model has no template for."""
        if isinstance(request, Generate | Choice) and not isinstance(request.prompt, str):
            await self.needs_template(no_template(self.model))

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `AsyncEngineArgs`, with the rules where they are asked for."""
        rules = [f"{response_rules.__name__}:ResponseRules"] if self.response_rules else None
        return super().arguments() | ({"logits_processors": rules} if rules else {})

    async def generate(self, request: Generate) -> Completion:
        """Write one text."""
        process = await self.running()
        how = request.sampling
        ids = self._ids(process, request.prompt, request)
        asked = await process.ask(
            ids,
            request.schema,
            temperature=how.temperature,
            top_p=how.top_p if how.temperature else 1.0,
            max_tokens=min(how.max_tokens, process.max_model_len - len(ids)),
            stop=list(how.stop),
            repeats=self.max_repeats,
            # Without stop strings nobody reads the text before its end: decode it once.
            detokenize=bool(how.stop),
            extra_args={response_rules.NAME: True} if self.response_rules else None,
            seed=request.draw if request.draw is not None else self.seed,
        )
        out = asked.outputs[0]
        if out.finish_reason not in get_args(Finish):
            raise EngineError(f"vLLM ended a request by {out.finish_reason!r}: {out.stop_reason}")
        return Completion(
            out.text if how.stop else process.tokens.decode(ids, out.token_ids),
            out.finish_reason,
            len(ids),
            len(out.token_ids),
            public_name(self.model),
            process.revision,
            "" if isinstance(request.prompt, str) else process.tokens.template,
        )

    async def choice(self, request: Choice) -> Probs:
        """Judge by one token: exact probabilities of the labels' first tokens."""
        process = await self.running()
        ids = self._ids(process, request.prompt, request)
        wanted = process.tokens.first_ids(request.labels)
        every = sorted(id_ for label in wanted.values() for id_ in label)
        out = await process.ask(ids, "", temperature=0.0, max_tokens=1, logprob_token_ids=every)
        found = out.outputs[0].logprobs[0]
        sums = {
            label: math.fsum(math.exp(found[id_].logprob) for id_ in its if id_ in found)
            for label, its in wanted.items()
        }
        mass = math.fsum(sums.values())
        if mass <= 0:
            raise EngineError(f"no probability on any of {list(request.labels)}")
        return Probs({label: p / mass for label, p in sums.items()}, min(1.0, mass), len(ids))

    async def score(self, request: Score) -> LogProbs:
        """Score one response; an empty one has no values."""
        span, found = await self._read(request, 0)
        values = [every[id_] for id_, every in found]
        return LogProbs(values, span.start, span.n_response)

    async def entropy(self, request: Entropy) -> Entropies:
        """Score one response, with the middle between the bounds of every entropy."""
        span, found = await self._read(request, LIKELIEST)
        n_vocabulary = (await self.running()).n_vocabulary
        between = [bounds(every.values(), n_vocabulary) for _, every in found]
        return Entropies(
            [every[id_] for id_, every in found],
            [(low + high) / 2 for low, high in between],
            n_vocabulary,
            span.start,
            span.n_response,
            [(high - low) / 2 for low, high in between],
        )

    async def _read(
        self, request: Score, n: int
    ) -> tuple[Span, list[tuple[int, dict[int, float]]]]:
        """Return every token of a response with its log-prob, and those of the `n` likeliest."""
        process = await self.running()
        (context,) = process.spans.contexts([request.context])
        (response,) = process.spans.responses([request.response])
        made = fitted(context, response, process.max_model_len - 1)  # vLLM writes one token
        if isinstance(made, LogProbs):
            return Span(context, len(context), len(response)), []
        if isinstance(made, Exception):
            raise made
        span = made.payload
        out = await process.ask(span.ids, "", temperature=0.0, max_tokens=1, prompt_logprobs=n)
        found = [
            (span.ids[i], {id_: each.logprob for id_, each in out.prompt_logprobs[i].items()})
            for i in range(span.start, len(span.ids))
        ]
        if not all(math.isfinite(every[id_]) for id_, every in found):
            raise EngineError(NOT_FINITE)
        return span, found

    def _ids(self, process: Process, prompt: Any, request: Generate | Choice) -> list[int]:
        ids = process.tokens.encode(prompt)
        if len(ids) >= process.max_model_len:
            raise PromptTooLong(
                f"{request.op}: the prompt has {len(ids)} tokens, "
                f"'{public_name(self.model)}' takes at most max_model_len - 1 = "
                f"{process.max_model_len - 1}; shorten the input or raise max_model_len"
            )
        if not ids:
            raise EngineError(f"{request.op}: the prompt is empty, it must have at least one token")
        return ids
