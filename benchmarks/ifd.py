"""Rows/s of IFD scores, against one row at a time with two full forward passes.

Goals: at least 3 times the public scripts' way (Cherry_LLM, Superfiltering: `model(ids, labels)`
once with the instruction and once without) with a random model of 1.3M parameters, same rows, same
precision, values equal to 1e-3; and at least 0.6 of what the machine's matrix products allow with
the demo model. `README.md` says what was found.

Our arm is the stage with everything behind it: templates, tokens, batches, one durable answer per
pass. The baseline may use the number of threads that serves it best. Arms alternate; processor time
is told beside wall time, because it says more on a busy machine. The limit is the multiply-adds of
all passes (weights at every position, but behind the last attention at response positions only, as
for the vocabulary; attention; not what the first layer looks up) over the rate of a large float32
product, measured before each arm. Both arms have a run's patient collector of garbage, which else
stops all threads for 0.4 to 0.7 of our 6 seconds. `--vllm` also times the same stage with vLLM,
which scores by `prompt_logprobs`. The rows are Alpaca's, from the folder that GRISTMILL_DATA names.

    python benchmarks/ifd.py [--quick] [--json] [--vllm] [--rows 1000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from telling import data_folder, machine, tell

from gristmill.engines.client import Client
from gristmill.engines.lanes import quiet_loading
from gristmill.engines.logprobs import Logprobs
from gristmill.engines.loop import patient_collector
from gristmill.engines.models import locate
from gristmill.engines.requests import Score
from gristmill.engines.vllm import Vllm
from gristmill.pipelines import Context
from gristmill.scorers.ifd import Ifd
from gristmill.storage.answers import Answers
from gristmill.text.turns import turns

GOAL, LIMIT_GOAL = 3.0, 0.6


def read_rows(n: int) -> list[dict[str, Any]]:
    """Return the first rows that have a response."""
    path = data_folder() / "alpaca" / "random_9k.json"
    rows = [row for row in json.loads(path.read_text()) if row["output"].strip()]
    return rows[:n]


def make_model(folder: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Write a Llama of 1.3M random weights with 4,096 tokens of the rows' own language."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=4096, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet,
        show_progress=False,
    )  # fmt: skip
    texts = [f"{row['instruction']}\n{row['input']}\n{row['output']}" for row in rows]
    tokenizer.train_from_iterator(texts, trainer)
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=128, intermediate_size=320,
        num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=4,
        max_position_embeddings=1024, bos_token_id=0, eos_token_id=1, tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


Took = tuple[float, float]
"""Seconds, and seconds of the processor in all threads."""


def clock(started: Took = (0.0, 0.0)) -> Took:
    """Return what has passed on both clocks."""
    return time.perf_counter() - started[0], time.process_time() - started[1]


class Kept(Logprobs):
    """Stays up between arms."""

    async def start(self) -> None:
        """Load once."""
        if self._live is None:
            await super().start()


async def score_all(engine: Logprobs, rows: Sequence[dict[str, Any]]) -> tuple[Took, list[Any]]:
    """Score rows with the stage and an empty answer store; return times and the scores."""
    with tempfile.TemporaryDirectory() as folder:
        answers = Answers(Path(folder) / "answers.sqlite")
        client, stage = Client(engine, answers), Ifd()
        started = clock()
        calls = (
            stage(row, Context({"scorer": client}, 0, "ifd", str(i))) for i, row in enumerate(rows)
        )
        found = await asyncio.gather(*calls)
        took = clock(started)
        answers.close()
    return took, found


def reference(
    threads: int, engine: Logprobs, model: Any, rows: Sequence[dict[str, Any]]
) -> tuple[Took, list[float]]:
    """Score row by row with two full passes; return times and exp(difference of the losses).

    The ids are the engine's, so that the values can be compared; its lanes keep their one thread.
    """
    import torch

    reader, found = engine._live, list[float]()
    torch.set_num_threads(threads)
    started = clock()
    with torch.inference_mode():
        for row in rows:
            *before, last = turns(row)
            losses = []
            for context in (before, []):
                (work,) = reader.prepare([Score(context, last["content"])])
                span = work.payload
                ids = torch.tensor([span.ids])
                labels = ids.clone()
                labels[0, : span.start] = -100
                losses.append(float(model(input_ids=ids, labels=labels).loss))
            found.append(math.exp(losses[0] - losses[1]))
    took = clock(started)
    torch.set_num_threads(1)
    return took, found


def product_rate(threads: int) -> Took:
    """Return the floating-point operations of a large float32 product, the best of 5.

    Per second, and per second of the processor.
    """
    import torch

    torch.set_num_threads(threads)
    n, best = 2048, (0.0, 0.0)
    a, b = torch.rand(n, n), torch.rand(n, n)
    a @ b
    for _ in range(5):
        started = clock()
        a @ b
        took = clock(started)
        best = max(best[0], 2 * n**3 / took[0]), max(best[1], 2 * n**3 / took[1])
    torch.set_num_threads(1)
    return best


def work(engine: Logprobs, rows: Sequence[dict[str, Any]]) -> float:
    """Return the floating-point operations that both passes over all rows need."""
    model = engine._live.model
    config = model.config.get_text_config()
    n_heads = config.num_attention_heads
    wide = n_heads * (getattr(config, "head_dim", None) or config.hidden_size // n_heads)
    inner = sum(p.numel() for name, p in model.named_parameters() if ".layers." in name)
    behind = inner / config.num_hidden_layers
    keys = 2 * config.hidden_size * wide * config.num_key_value_heads / n_heads
    behind -= keys
    if getattr(engine._live.quick, "first", None) is not None:
        inner -= config.hidden_size * wide + keys
    head = config.hidden_size * config.vocab_size
    total = 0.0
    for row in rows:
        *before, last = turns(row)
        asked = [Score(context, last["content"]) for context in (before, [])]
        for made in engine._live.prepare(asked):
            span = made.payload
            n, n_response = len(span.ids), len(span.ids) - span.start
            attention = 2 * config.num_hidden_layers * wide * n * (n + 1) / 2
            skipped = behind * (n - n_response)
            total += 2 * (inner * n - skipped + attention + head * n_response)
    return total


async def with_vllm(model: str, rows: list[Any], wanted: list[Any]) -> dict[str, Any]:
    """Score with vLLM as it is; return rows/s and how far the values are apart."""
    engine = Vllm(model=model, dtype="float32", max_model_len=1024, silence_s=900)
    await engine.start()
    try:
        await score_all(engine, rows[:20])
        took, found = await score_all(engine, rows)
    finally:
        await engine.stop()
    pairs = [(a["ppl"], b["ppl"]) for a, b in zip(found, wanted, strict=True)]
    gaps = [abs(a - b) for a, b in pairs if a and b]
    return {
        "vllm_rows_per_s": round(len(rows) / took[0], 1),
        "vllm_rows": len(gaps),
        "vllm_largest_difference": max(gaps),
    }


async def compare(name: str, model: str, rows: list[Any], arms: int, *, vllm: bool) -> Any:
    """Let both arms take turns on one model."""
    from transformers import AutoModelForCausalLM

    engine = Kept(model=model, dtype="float32")
    await engine.start()
    plain: Any = AutoModelForCausalLM.from_pretrained(locate(model), dtype="float32").eval()
    cores = len(os.sched_getaffinity(0))
    trials = {n: reference(n, engine, plain, rows[:30])[0][0] for n in sorted({1, cores})}
    threads = min(trials, key=trials.__getitem__)
    await score_all(engine, rows[:200])
    ours, theirs, rates, far = list[Took](), list[Took](), list[Took](), 0.0
    for _ in range(arms):
        rates.append(product_rate(cores))
        took, found = await score_all(engine, rows)
        ours.append((len(rows) / took[0], len(rows) / took[1]))
        took, wanted = reference(threads, engine, plain, rows)
        theirs.append((len(rows) / took[0], len(rows) / took[1]))
        far = max(far, *(abs(a["ppl"] - b) for a, b in zip(found, wanted, strict=True)))
    flops = work(engine, rows)
    await engine.stop()
    beside = await with_vllm(model, rows, found) if vllm else {}
    both = (0, 1)
    ratios, by_processor = ([ours[i][c] / theirs[i][c] for i in range(arms)] for c in both)
    limits = [[rate[c] / (flops / len(rows)) for rate in rates] for c in both]
    shares = [[ours[i][c] / limits[c][i] for i in range(arms)] for c in both]
    return {
        "model": name,
        "parameters": sum(p.numel() for p in plain.parameters()),
        "ratio": round(statistics.median(ratios), 2),
        "interval": [round(min(ratios), 2), round(max(ratios), 2)],
        "processor_ratio": round(statistics.median(by_processor), 2),
        "rows_per_s": round(statistics.median(a for a, _ in ours), 1),
        "rows_per_processor_s": round(statistics.median(b for _, b in ours), 1),
        "baseline_rows_per_s": round(statistics.median(a for a, _ in theirs), 1),
        "baseline_rows_per_processor_s": round(statistics.median(b for _, b in theirs), 1),
        "baseline_threads": threads,
        "limit_rows_per_s": round(statistics.median(limits[0]), 1),
        "share_of_limit": round(statistics.median(shares[0]), 3),
        "shares_of_limit": [round(share, 3) for share in sorted(shares[0])],
        "processor_share_of_limit": round(statistics.median(shares[1]), 3),
        "processor_shares_of_limit": [round(share, 3) for share in sorted(shares[1])],
        "product_gflops": [round(r / 1e9, 1) for r, _ in rates],
        "mflop_per_row": round(flops / len(rows) / 1e6, 1),
        "largest_difference": far,
        "equal": far < 1e-3,
        **beside,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="the random model, 200 rows")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--vllm", action="store_true", help="an arm with vLLM, too")
    args = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    quiet_loading()
    rows, arms = read_rows(200 if args.quick else args.rows), 5
    print(f"{machine('torch', 'transformers')}, {len(rows)} rows, {arms} alternating arms")
    told = []
    with tempfile.TemporaryDirectory() as folder, patient_collector():
        models = [("random", str(make_model(Path(folder) / "random", rows))), ("demo", "demo")]
        for name, model in models[: 1 if args.quick else 2]:
            told.append(asyncio.run(compare(name, model, rows, arms, vllm=args.vllm)))
    result = {
        "name": "ifd",
        **{key: told[0][key] for key in ("ratio", "interval")},
        "goal": GOAL,
        "baseline": told[0]["baseline_rows_per_s"],
        "unit": "rows/s",
        "share_of_limit": told[-1]["share_of_limit"],
        "share_of_limit_goal": LIMIT_GOAL,
        "rows": len(rows),
        "arms": arms,
        "quick": args.quick,
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }
    for found in told:
        tell(found, as_json=False)
    tell({**result, "models": told}, as_json=args.json)


if __name__ == "__main__":
    main()
