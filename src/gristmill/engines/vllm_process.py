"""The living part of the vLLM engine: its processes, their pulse and their end."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import multiprocessing
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gristmill import telemetry
from gristmill.engines.spans import Spans
from gristmill.engines.tokens import Tokens
from gristmill.engines.vllm_start import QUIET, Step, load
from gristmill.errors import EngineError, EngineLost, EngineRefused
from gristmill.text.mistakes import told

log = logging.getLogger(__name__)

LONGEST = 32
"""Tokens of a pattern that is looked for where a text repeats itself."""


class Process:
    """One `AsyncLLM` with its engine processes. It is started once and, when lost, thrown away."""

    def __init__(self, engine: Any, tokens: Tokens, revision: str, silence_s: float) -> None:
        self.engine, self.tokens, self.revision = engine, tokens, revision
        self.spans = Spans(tokens.tokenizer, "auto", tokens.model)
        self.max_model_len: int = engine.model_config.max_model_len
        self.n_vocabulary: int = engine.model_config.get_vocab_size()
        self.metrics: dict[str, float] = defaultdict(float)
        self.is_lost = False
        self._silence_s = silence_s
        self._pulse = time.monotonic()
        self._in_flight = 0
        self._numbers = itertools.count()
        self._processes = children(engine)
        self._watch: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, arguments: dict[str, Any], silence_s: float) -> Process:
        """Load the model; the event loop stays free meanwhile."""
        telemetry.switch_off()
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        arguments["worker_extension_cls"] = f"{__name__}.{Leash.__name__}"
        steps: list[Step] = []
        try:
            engine = await asyncio.to_thread(load, arguments, steps)
            revision = arguments.get("revision")
            tokens = await asyncio.to_thread(
                Tokens, arguments["model"], revision,
                trust_remote_code=arguments["trust_remote_code"],
            )  # fmt: skip
        except (RuntimeError, ValueError, OSError) as error:
            raise EngineError(
                f"vLLM could not start: {told(error)}; its arguments were {arguments}"
            ) from error
        process = cls(engine, tokens, revision or "", silence_s)
        steps.append(process.record)
        await engine.collective_rpc("end_with", args=(os.getpid(),))
        process._watch = asyncio.create_task(process._watch_pulse())
        return process

    async def ask(
        self, ids: list[int], schema: str, repeats: int | None = None, **sampling: Any
    ) -> Any:
        """Return the finished `RequestOutput` of one request, held to a schema if it has one."""
        return await self._last(self.engine.generate, ids, _params(schema, repeats, sampling))

    async def pool(self, ids: list[int]) -> list[float]:
        """Return what a classifier's head says at the last token: logits, one per label."""
        from vllm import PoolingParams

        params = PoolingParams(task="classify", use_activation=False)
        out = await self._last(self.engine.encode, ids, params)
        values: list[float] = out.outputs.data.tolist()
        return values

    async def _last(self, call: Callable[..., Any], ids: list[int], params: Any) -> Any:
        """Return the finished output of one call of the engine."""
        from vllm.exceptions import VLLMClientError
        from vllm.inputs.engine import tokens_input
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        if not self._in_flight:
            self._pulse = time.monotonic()
        self._in_flight += 1
        try:
            async for out in call(tokens_input(ids), params, str(next(self._numbers))):
                if out.finished:
                    return out
        except EngineDeadError as error:
            self.is_lost = True
            raise EngineLost("the vLLM engine died; its log is above") from error
        except VLLMClientError as error:
            raise EngineRefused(f"vLLM refused a request: {error}") from error
        except EngineGenerateError as error:
            if self.engine.errored:
                self.is_lost = True
                raise EngineLost("the vLLM engine died while it answered") from error
            raise EngineError(f"vLLM refused a request: {error.__cause__ or error}") from error
        finally:
            self._in_flight -= 1
        raise EngineError("vLLM ended a request without an answer")

    async def stop(self) -> None:
        """End the engine; what does not go in time is killed."""
        for task in (self._watch, self.engine.output_handler):
            if task is not None:
                task.cancel()
        await asyncio.to_thread(self.engine.shutdown, timeout=3)
        kill(self._processes)
        multiprocessing.active_children()  # reaps what has ended

    def record(self, scheduler: Any, iteration: Any) -> None:
        """Take note of one step: it proves that the engine is alive."""
        self._pulse = time.monotonic()
        made = self.metrics
        made["vllm:iterations"] += 1
        if scheduler is not None:
            made["vllm:num_requests_running"] = scheduler.num_running_reqs
            made["vllm:num_requests_waiting"] = scheduler.num_waiting_reqs
            made["vllm:kv_cache_usage_perc"] = scheduler.kv_cache_usage
            made["vllm:prefix_cache_queries"] += scheduler.prefix_cache_stats.queries
            made["vllm:prefix_cache_hits"] += scheduler.prefix_cache_stats.hits
        if iteration is not None:
            made["vllm:prompt_tokens"] += iteration.num_prompt_tokens
            made["vllm:generation_tokens"] += iteration.num_generation_tokens
            made["vllm:num_preemptions"] += iteration.num_preempted_reqs
            made["vllm:request_success"] += len(iteration.finished_requests)

    async def _watch_pulse(self) -> None:
        """Kill an engine that has work and makes no step; its requests are asked again."""
        while not self.is_lost:
            await asyncio.sleep(min(1.0, self._silence_s / 4))
            silent_s = time.monotonic() - self._pulse
            if self._in_flight and silent_s > self._silence_s:
                log.error("engine=vllm silent_s=%.0f in_flight=%d", silent_s, self._in_flight)
                self.is_lost = True
                kill(self._processes)


def _params(schema: str, repeats: int | None, sampling: dict[str, Any]) -> Any:
    """Return vLLM's sampling parameters."""
    from vllm import SamplingParams
    from vllm.sampling_params import (
        RepetitionDetectionParams,
        RequestOutputKind,
        StructuredOutputsParams,
    )

    if schema:
        shape = json.loads(schema)
        kind = "choice" if isinstance(shape, list) else "json"
        sampling["structured_outputs"] = StructuredOutputsParams(**{kind: shape})
    if repeats:
        sampling["repetition_detection"] = RepetitionDetectionParams(LONGEST, 1, repeats)
    return SamplingParams(**sampling, output_kind=RequestOutputKind.FINAL_ONLY, skip_clone=True)


class Leash:
    """Mixed into vLLM's worker: ends the engine when the process that started it is gone."""

    def end_with(self, pid: int) -> None:
        """Watch a process from a thread; vLLM's engine core would outlive it for ever."""
        import psutil

        owner, core = psutil.Process(pid), psutil.Process().parent()
        kin = [core] if core is not None and core.pid != pid else []
        threading.Thread(target=_end_with, args=(owner, kin), daemon=True).start()


def _end_with(owner: Any, kin: list[Any]) -> None:
    import psutil

    with suppress(psutil.NoSuchProcess):
        while owner.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.5)
    kill(kin)
    os._exit(1)


def children(engine: Any) -> list[Any]:
    """Return the processes of an engine: its core and the core's workers."""
    import psutil

    cores = [psutil.Process(p.pid) for p in engine.engine_core.resources.engine_manager.processes]
    return [*cores, *(worker for core in cores for worker in core.children(recursive=True))]


def kill(processes: list[Any]) -> None:
    """Kill what is still running of these processes; a number that was reused is left alone."""
    import psutil

    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
