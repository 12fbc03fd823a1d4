"""InterCode: a request is met by commands in an environment that answers; right endings stay.

Source: Yang et al., "InterCode: Standardizing and Benchmarking Interactive Coding with Execution
Feedback", arXiv:2306.14898, section 4; `princeton-nlp/intercode` (MIT) for the Bash reward.
Differs from the paper: our own prompt; folders, links and modes are changes too; SQL is SQLite, and
its reward the share of rows in both results, 0 where other tables were changed. A right ending has
a reward of 1 and the very output, for SQL in any order unless the right command says ORDER BY.
Right commands that fail, or do not end the same way twice, teach nothing.
"""

from __future__ import annotations

from typing import Any, ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.sandbox import environments
from gristmill.engines.sandbox.environments import acting, ended, session, told
from gristmill.engines.sandbox.replaying import show_last
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.commands import Ended, bash_reward, command_of, is_same_output, sql_reward
from gristmill.text.plurals import counted
from gristmill.text.turns import WholeTurn, whole

RULES = """Meet a request by commands. In a turn, think first, then do one of two things: run one \
command, between <execute> and </execute>, whose output comes back to you; or write <submit>, once \
the request is met. What the last command prints is the answer: run nothing after it. {what}"""
WHAT = {
    "bash": "Commands are Bash, in a folder of files that keeps what they change.",
    "sql": "Commands are SQL for SQLite, one statement each; rows come as JSON lists.",
}
WRONG_FORM = "Neither a command nor <submit> was found, or more than one. Write one of the two."


class File(TypedDict):
    """A file of the folder, by its relative path."""

    path: str
    text: str


class Request(TypedDict):
    """What it reads: a request, the right command, and files, or an SQL script for tables."""

    instruction: str
    command: str
    files: NotRequired[list[File] | None]
    tables: NotRequired[str | None]


class Episode(TypedDict):
    """What it writes; the output is the commands."""

    messages: list[WholeTurn]
    output: str
    actions: list[str]
    reward: float
    """0.01 to 1, higher is better."""
    success: bool
    gen: Gen


class InterCode(RowStage):
    """Let a model act, then compare where it got with where the right command gets."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "bad_environment", "bad_command", "unstable", "not_submitted", "unsteady", "unsolved",
    }  # fmt: skip

    turns: int = Field(default=10, ge=1, le=30)
    """Turns at most, that of <submit> among them; the paper has 10."""
    min_reward: float = Field(default=1.0, ge=0, le=1)
    """Episodes with less leave; with 1, also those that are no success."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of one command, in seconds."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=512)

    def needs(self) -> dict[str, Op]:
        """One model acts, the sandbox runs."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: Request, ctx: Context) -> Episode | Drop:
        """Run the right command twice, apart from the episode; then go on turn by turn."""
        files, script = row.get("files") or [], row.get("tables")
        tree = {file["path"]: file["text"] for file in files}
        first = environments.tables(script) if script else environments.folder(tree)
        run = ctx.sandbox.run
        gold = await environments.reference(run, first, row["command"], self.timeout_s)
        if not isinstance(gold, Ended):
            return Drop(*gold)
        acted = await self.act(row["instruction"], first, "sql" if script else "bash", ctx)
        if isinstance(acted, Drop):
            return acted
        turns, actions, last, gen = acted
        reward = (sql_reward if script else bash_reward)(gold, last)
        success = reward == 1 and is_same_output(gold, last, script and row["command"])
        if reward < self.min_reward or (self.min_reward == 1 and not success):
            return Drop("unsolved", f"reward {reward}: {last.output}\n{last.changes}")
        return {
            "messages": [whole(turn["role"], turn["content"]) for turn in turns],
            "output": "\n".join(actions),
            "actions": actions,
            "reward": reward,
            "success": success,
            "gen": gen,
        }

    async def act(
        self, request: str, first: str, language: str, ctx: Context
    ) -> tuple[list[Message], list[str], Ended, Gen] | Drop:
        """Return the turns up to <submit>, the commands, where they led; the history only grows."""
        rules = RULES.format(what=WHAT[language])
        turns: list[Message] = [{"role": "system", "content": rules}, user(request)]
        cells, shown, actions = [first], ["(nothing)"], list[str]()
        for left in reversed(range(self.turns)):
            reply = await complete(ctx.llm("generator"), turns, self.sampling)
            if isinstance(reply, Drop):
                return reply
            turns = [*turns, {"role": "assistant", "content": reply.text}]
            if (command := command_of(reply.text, language)) == "":
                verdict = await ctx.sandbox.run(session(cells, self.timeout_s))
                last = ended(verdict)
                if last is None or [told(cell) for cell in verdict.cells[:-1]] != shown:
                    return Drop("unsteady", f"{verdict.status}: {verdict.detail}")
                return turns, actions, last, reply.gen
            said = WRONG_FORM
            if command:
                actions.append(command)
                cells.append(acting(command))
                how: dict[str, Any] = {"timeout_s": self.timeout_s, "profile": "bare"}
                seen, verdict = await show_last(ctx.sandbox.run, cells, shown, told, **how)
                if seen is None:
                    return Drop("unsteady", f"{verdict.status}: {verdict.detail}")
                shown.append(said := seen)
            turns.append(user(f"Observation: {said}\n({counted(left, 'turn')} left.)"))
        return Drop("not_submitted", turns[-2]["content"])


def user(text: str) -> Message:
    """Return a turn of the environment."""
    return {"role": "user", "content": text}
