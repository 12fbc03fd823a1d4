"""SteloCoder: pairs of code in another language and in Python, put as instructions to translate.

Source: Pan et al., "SteloCoder: a Decoder-Only LLM for Multi-Language to Python Code Translation",
arXiv:2310.15539, section 3; `sade-adrien/SteloCoder` (no licence file). After it `selectors.stelo`
drops the longest and orders what is left.
Differs from the paper: our own prompt; programs that read and print are run on both sides, where
their language has a runner here, and must print the same: overlap of texts is no proof.
"""

from __future__ import annotations

from typing import ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.sandbox.scripts import PROFILES, Script, printed, wrong
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.fences import fenced, language_of

NAMES = {
    "c": "C", "cpp": "C++", "csharp": "C#", "go": "Go", "java": "Java", "javascript": "JavaScript",
    "php": "PHP", "rust": "Rust",
}  # fmt: skip
PROMPT = """Code is to be translated into Python. Write the request for it as a person would: one \
to three sentences that name both languages and say in a few words what the code is about, without \
any code. Reply with the request alone.

### Language
{language}

### Code
{code}

### Request"""
MAX_WORDS = 100


class Pair(TypedDict):
    """What it reads; with `stdin`, texts for the input of both sides."""

    code: str
    lang: str
    python: str
    stdin: NotRequired[list[str] | None]


class Asked(TypedDict):
    """What it writes."""

    instruction: str
    output: str
    verified: bool | None
    """Whether both sides print the same; None: nobody could run them."""
    gen: Gen


class Stelo(RowStage):
    """Run both sides of a pair where that can be done, then put the pair into words."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "empty_side", "bad_source", "flaky", "weak_tests", "not_parallel", "no_request",
    }  # fmt: skip

    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of one run, in seconds."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=256)

    def needs(self) -> dict[str, Op]:
        """One model puts it into words, the sandbox runs."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: Pair, ctx: Context) -> Asked | Drop:
        """Judge the pair before anything is asked."""
        code, python = (row["code"] or "").strip("\n"), (row["python"] or "").strip("\n")
        if not code.strip() or not python.strip():
            return Drop("empty_side", "a side of the pair is empty")
        language = language_of(row["lang"] or "")
        verified: bool | None = None
        if (inputs := row.get("stdin")) and language in PROFILES:
            same = await self.same(Script(code, language, inputs, self.timeout_s), python, ctx)
            if isinstance(same, Drop):
                return same
            verified = same
        text = PROMPT.format(language=NAMES.get(language, language), code=code)
        ask: list[Message] = [{"role": "user", "content": text}]
        reply = await complete(ctx.llm("generator"), ask, self.sampling)
        if isinstance(reply, Drop):
            return reply
        request = reply.text.strip()
        if "python" not in request.lower() or "```" in request or len(request.split()) > MAX_WORDS:
            return Drop("no_request", request)
        return {
            "instruction": f"{request}\n\n{fenced(code, language)}",
            "output": fenced(python),
            "verified": verified,
            "gen": reply.gen,
        }

    async def same(self, script: Script, python: str, ctx: Context) -> bool | Drop | None:
        """Return True if both sides print the same, None where one of them cannot be run here."""
        outputs = await printed(ctx.sandbox.run, script)
        if isinstance(outputs, tuple):
            return None if outputs[0] == "missing_tool" else Drop(*outputs)
        side = Script(python, "python", script.inputs, self.timeout_s)
        if not (why := await wrong(ctx.sandbox.run, side, outputs)):
            return True
        return None if why[0] == "missing_tool" else Drop("not_parallel", why[1])
