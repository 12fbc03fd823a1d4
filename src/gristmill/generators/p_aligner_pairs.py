"""P-Aligner, last step: of a tree of rewrites the best over the worst, or every step that gains.

Source: Song et al., "P-Aligner: Enabling Pre-Alignment of Language Models via Principled
Instruction Synthesis", arXiv:2508.04626, section 3 (UltraPrompt) and appendix.
Differs from the paper: a judge says whether the best rewrite still asks for the same; a step is a
pair, too: the text after it over the text before.
"""

from __future__ import annotations

from typing import ClassVar, Literal, TypedDict

from gristmill.engines.requests import Message, Op
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, judge
from gristmill.pipelines.stage import Drop, RowStage

SAME = """Would a good answer to the second query also be what the first one wants? The second may \
say more, be more polite, or ask for care. Reply with one word: same or other.

### First query
{raw}

### Second query
{query}

### Same or other"""
WRAPPED = "<query>\n{}\n</query>"
"""How prompts and targets look to the model that learns to rewrite."""
RAW = "raw"


class Grown(TypedDict):
    """A node of the tree; see `p_aligner`."""

    text: str
    parent: int | None
    action: str
    mean: float


Searched = TypedDict("Searched", {"meta.p_aligner.tree": list[Grown]})


class Pair(TypedDict):
    """What it writes: two rewrites of the text in `prompt`, of which one is answered better."""

    prompt: str
    chosen: str
    rejected: str
    margin: float
    """Mean rating of `chosen` minus that of `rejected`, in the units of the reward model."""
    chosen_from: str
    """The principles that led there, joined by arrows; "raw" is the text itself."""
    rejected_from: str
    is_raw: bool
    """Whether `chosen` is what the prompt has: nothing is to be rewritten."""


class PAlignerPairs(RowStage):
    """Make a row of a tree, or one per step that gains."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"no_margin", "intent_drift"}

    product: Literal["pair", "steps"] = "pair"
    """Best over worst of all nodes, the raw instruction among them; or child over parent."""

    def needs(self) -> dict[str, Op]:
        """The judge writes a word, once per row."""
        return {"judge": "generate"}

    async def __call__(self, row: Searched, ctx: Context) -> list[Pair | Drop] | Drop:
        """Ask whether what was chosen is still what was asked, unless it is the raw text itself."""
        tree = row["meta.p_aligner.tree"]
        if self.product == "pair":
            best, worst = (pick(tree, key=lambda one: one["mean"]) for pick in (max, min))
            found = [(tree[0], best, worst)]
        else:
            steps = [(tree[one["parent"]], one) for one in tree if one["parent"] is not None]
            found = [(before, after, before) for before, after in steps]
        made = list[Pair | Drop]()
        for prompt, chosen, rejected in found:
            if chosen["mean"] <= rejected["mean"] or chosen["text"] == rejected["text"]:
                continue
            said = "same" if chosen is tree[0] else await self._same(tree[0], chosen, ctx)
            if isinstance(said, Drop):
                made.append(said)
            elif said == "other":
                made.append(Drop("intent_drift", chosen["text"]))
            else:
                made.append(_pair(tree, prompt, chosen, rejected))
        return made or Drop("no_margin", f"{len(tree)} nodes, none better than another")

    async def _same(self, raw: Grown, chosen: Grown, ctx: Context) -> str | Drop:
        text = SAME.format(raw=raw["text"], query=chosen["text"])
        ask: list[Message] = [{"role": "user", "content": text}]
        return await judge(ctx.llm("judge"), ask, {"same", "other"})


def _pair(tree: list[Grown], prompt: Grown, chosen: Grown, rejected: Grown) -> Pair:
    return Pair(
        prompt=WRAPPED.format(prompt["text"]), chosen=WRAPPED.format(chosen["text"]),
        rejected=WRAPPED.format(rejected["text"]), margin=chosen["mean"] - rejected["mean"],
        chosen_from=_path(tree, chosen), rejected_from=_path(tree, rejected),
        is_raw=chosen is prompt,
    )  # fmt: skip


def _path(tree: list[Grown], node: Grown) -> str:
    actions = list[str]()
    while node["parent"] is not None:
        actions.insert(0, node["action"])
        node = tree[node["parent"]]
    return " -> ".join(actions) or RAW
