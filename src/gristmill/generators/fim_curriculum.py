"""Fill-in-the-middle rows from files: a node on which completion fails often is left out.

Source: Sagtani et al., "Improving FIM Code Completions via Context & Curriculum Based Learning",
arXiv:2412.16589, section 3; nothing was released. Before it `scorers.definitions` looks up what
other files define, after it `selectors.top_share` marks the part with the most symbols.
Differs from the paper: only Python, parsed by Python itself; which kinds of node is our choice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, TypedDict

from pydantic import Field

from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.bm25 import bm25
from gristmill.text.fim_spans import Span, cut, identifiers, spans

NEAR = 5
"""Lines before and after a middle in which the names count too. Our choice."""
TELLING = 20
"""Characters besides spaces from which a line is one that a context would give away. Our choice."""
LINE_END = "\n"


class Snippet(TypedDict):
    """A definition of another file."""

    path: str
    symbol: str
    text: str


class Filled(TypedDict):
    """What it writes: the instruction is the whole prompt, the output is the middle."""

    instruction: str
    output: str
    path: str
    prefix: str
    suffix: str
    node_type: str
    complexity: int
    """Distinct symbols of the middle; higher is harder."""
    context: list[Snippet]


class FimCurriculum(RowStage):
    """Leave out nodes of a file, each in a row of its own; no model is asked."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset({"unparsed", "long_lines", "fim_token", "no_node"})

    code: str = Field(default="code", pattern=r"^\w+(\.\w+)*$")
    """Column with a file's text."""
    of: str = Field(default="definitions", pattern=r"^\w+$")
    """Label of the stage that looked definitions up."""
    n: int = Field(default=8, ge=1)
    """Middles per file, drawn from all that fit. Our choice."""
    min_symbols: int = Field(default=2, ge=0)
    """Least distinct symbols of a middle. Our choice."""
    max_bytes: int = Field(default=1000, ge=1)
    """Longest middle, in bytes of UTF-8. Our choice."""
    max_line: int = Field(default=400, ge=1)
    """A file with a longer line is taken for generated, and leaves."""
    context_chars: int = Field(default=2000, ge=0)
    """Characters of definitions at most."""
    tokens: tuple[str, str, str] = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
    """What the model to be trained calls prefix, suffix and middle; no text of a row has them."""
    order: Literal["psm", "spm"] = "psm"
    """Prefix, suffix, middle; or the suffix first."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters; `source` is the file's path."""
        return frozenset({self.code, "source", f"scores.{self.of}.found"})

    async def __call__(self, row: dict[str, Any], ctx: Context) -> list[Filled | Drop] | Drop:
        """Draw some of the file's nodes, in order of place."""
        code, path = row[self.code] or "", row["source"] or ""
        if any(len(line) > self.max_line for line in code.splitlines()):
            return Drop("long_lines", f"a line of more than {self.max_line} characters")
        if any(token in code for token in self.tokens):
            return Drop("fim_token", "the file has a token that marks its parts")
        if (every := spans(code)) is None:
            return Drop("unparsed", "no Python")
        fit = [
            i
            for i, span in enumerate(every)
            if span.complexity >= self.min_symbols and span.end - span.start <= self.max_bytes
        ]
        if not fit:
            return Drop("no_node", f"none of {len(every)} nodes fits")
        drawn = sorted(ctx.rng.sample(fit, min(self.n, len(fit))))
        texts = row[f"scores.{self.of}.found"] or ()
        known: list[Snippet] = [
            each
            for each in map(json.loads, texts)
            if not any(token in f"{each['path']}{each['text']}" for token in self.tokens)
        ]
        return [self.filled(code, every[i], path, known) for i in drawn]

    def filled(self, code: str, span: Span, path: str, known: Sequence[Snippet]) -> Filled:
        """Return the row of one middle."""
        prefix, middle, suffix = cut(code, span)
        context = self.context(prefix, middle, suffix, known)
        shown = "".join(f"# {each['path']}\n{each['text']}\n\n" for each in context)
        before, after, last = self.tokens
        parts = [before + prefix, after + suffix]
        return {
            "instruction": shown + "".join(parts if self.order == "psm" else parts[::-1]) + last,
            "output": middle,
            "path": path,
            "prefix": prefix,
            "suffix": suffix,
            "node_type": span.kind,
            "complexity": span.complexity,
            "context": context,
        }

    def context(
        self, prefix: str, middle: str, suffix: str, known: Sequence[Snippet]
    ) -> list[Snippet]:
        """Return the definitions that fit a middle best, and hold neither it nor a line of it."""
        around = prefix.splitlines()[-NEAR:] + suffix.splitlines()[:NEAR]
        names = identifiers(LINE_END.join([middle, *around]))
        lines = {"".join(line.split()) for line in middle.splitlines()}
        bare = {"".join(middle.split()), *(line for line in lines if len(line) >= TELLING)}
        texts = ["".join(each["text"].split()) for each in known]
        apart = [
            e for e, text in zip(known, texts, strict=True) if not any(b in text for b in bare)
        ]
        scores = bm25(names, [identifiers(each["text"]) for each in apart])
        best = sorted(range(len(apart)), key=lambda i: (-scores[i], i))
        chosen, left = list[Snippet](), self.context_chars
        for i in best:
            if scores[i] > 0 and len(apart[i]["text"]) <= left:
                chosen.append(apart[i])
                left -= len(apart[i]["text"])
        return chosen
