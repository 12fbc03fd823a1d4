"""FunCoder, first half: divide a function into simpler functions, down to those that need none.

Source: Chen et al., "Divide-and-Conquer Meets Consensus: Unleashing the Power of Functions in Code
Generation", arXiv:2405.20092, section 3.1 and algorithm 1. Its second half is `fun_coder_conquer`.
Differs from the paper: our own prompt; all is divided before anything is conquered, which asks for
the same, since dividing sees no conquered function. Replies are parsed in the sandbox.
"""

from __future__ import annotations

from typing import Any, ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.sandbox.inspecting import found, inspection
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import function_parts
from gristmill.text.fences import fenced, python_code
from gristmill.text.function_parts import joined

DIVIDE = '''Implement one Python function. Where a part of its work deserves a name, call a new \
helper and leave the helper as a stub: its signature, a docstring that says exactly what it gives, \
and `raise NotImplementedError`. A helper is simpler than the function; a simple function needs \
none. Keep signature and docstring. Reply with one Python block: the function, then the stubs.

### Function
def spread(rows: list[list[float]]) -> float:
    """Return the largest mean of a row minus the smallest one."""

### Python
```python
def spread(rows: list[list[float]]) -> float:
    """Return the largest mean of a row minus the smallest one."""
    means = [mean(row) for row in rows]
    return max(means) - min(means)


def mean(row: list[float]) -> float:
    """Return the arithmetic mean of the numbers, 0.0 for none."""
    raise NotImplementedError
```

### Function
{stub}

### Python'''


class Task(TypedDict):
    """What it reads: Python up to a function without a body; the last one if none is named."""

    instruction: str
    entry_point: NotRequired[str | None]


class Node(TypedDict):
    """One function of the tree; its parent is "" for the root."""

    name: str
    parent: str
    stub: str
    code: str
    imports: list[str]


class Divided(TypedDict):
    """What it writes: a whole program, and its functions, each before those that it needs."""

    output: str
    tree: list[Node]
    context: str
    """What stands above the function in the task."""
    calls: list[str]
    """Calls that its docstring shows."""
    gen: Gen


class FunCoder(RowStage):
    """Answer a task in code by a tree of functions, none of them chosen yet."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"no_function", "no_division", "too_large"}

    retries: int = Field(default=3, ge=0)
    """Further tries where a reply is no implementation; the released code has 3 to 5."""
    max_depth: int = Field(default=6, ge=0)
    """Of the tree; functions at it must need no new ones."""
    max_functions: int = Field(default=16, ge=1)
    """In the tree. Our choice."""
    sampling: Sampling = Sampling(temperature=0.2)

    def needs(self) -> dict[str, Op]:
        """One model divides, the sandbox parses."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: Task, ctx: Context) -> Divided | Drop:
        """Divide depth first; a stub that is nobody's yet is a function to divide."""
        asked = row["instruction"], row.get("entry_point") or ""
        task = found(await ctx.sandbox.run(inspection(function_parts, "outline", *asked)))
        if not task or "error" in task:
            return Drop("no_function", (task or {}).get("error", "it could not be parsed"))
        known = {task["name"], *task["known"]}
        todo, tree = [(task["name"], task["stub"], "", 0)], list[Node]()
        while todo:
            name, stub, parent, depth = todo.pop()
            shown = f"{task['context']}\n\n\n{stub}".strip()
            part = await self.divide(shown, stub, sorted(known - {name}), depth, ctx)
            if isinstance(part, Drop):
                return part
            tree.append(
                {"name": name, "parent": parent, "stub": stub, "code": part["code"],
                 "imports": part["imports"]}
            )  # fmt: skip
            gen: Gen = part["gen"]
            known |= part["stubs"].keys()
            todo += [(new, part["stubs"][new], name, depth + 1) for new in reversed(part["stubs"])]
            if len(tree) + len(todo) > self.max_functions:
                return Drop("too_large", f"{len(tree) + len(todo)} > {self.max_functions}")
        return {
            "output": fenced(joined(task["context"], tree[::-1])),
            "tree": tree,
            "context": task["context"],
            "calls": task["calls"],
            "gen": gen,
        }

    async def divide(
        self, shown: str, stub: str, known: list[str], depth: int, ctx: Context
    ) -> dict[str, Any] | Drop:
        """Ask until a reply implements the function; the last failure says why none did."""
        ask: list[Message] = [{"role": "user", "content": DIVIDE.format(stub=shown)}]
        why = ""
        for _ in range(self.retries + 1):
            reply = await complete(ctx.llm("generator"), ask, self.sampling)
            if isinstance(reply, Drop):
                why = f"{reply.code}: {reply.detail}"
                continue
            ask_part = inspection(
                function_parts, "part", python_code(reply.text) or "", stub, known
            )
            part = found(await ctx.sandbox.run(ask_part)) or {"error": "it could not be parsed"}
            if "error" not in part and (depth < self.max_depth or not part["stubs"]):
                return {**part, "gen": reply.gen}
            why = part.get("error", f"it is divided below depth {self.max_depth}")
        return Drop("no_division", why)
