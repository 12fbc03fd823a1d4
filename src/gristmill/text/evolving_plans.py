"""The method by which a model evolves an instruction in one reply, and where that reply ends."""

from __future__ import annotations

import re

from gristmill.text.leaks import markers

METHOD = """Make an instruction harder, in four steps. Write each step below its heading, the \
headings exactly as they stand here.

### Step 1: Methods
List ways in which this instruction could be made harder, without changing the language it is in.
### Step 2: Plan
Say which of these ways you combine, and how.
### Step 3: Rewrite
Write the instruction as planned: 10 to 20 words longer at most, and answerable in writing.
### Step 4: Final version
Review the rewrite, repair what is not reasonable, and write the final instruction alone."""
PLACE = """### Instruction
{instruction}"""
LAST = re.compile(r"(?im)^[ \t#*]*(?:step \d+[ \t:.*-]*)?final version[ \t:*]*")
SHORT = 300
"""Characters of a line, or of an answer, that may do nothing but talk; a longer one says something.
Our choice."""
STAGNANT = re.compile(r"(?is)\W*(?:understood|thank you|sure|of course|certainly)\b.*\?\W*")
ASKS_BACK = re.compile(r"(?i)\bplease (?:provide|share|specify|clarify)\b")


def request(method: str, instruction: str) -> str:
    r"""Return what the evolver is asked; the instruction stands last, whatever it says.

    >>> request("Make it harder.", "Add.")
    'Make it harder.\n\n### Instruction\nAdd.'
    """
    return f"{method}\n\n{PLACE.format(instruction=instruction)}"


def marks(method: str) -> frozenset[str]:
    """Return what no evolved instruction may have: a method's headings, and its place in them."""
    return markers([method, PLACE])


def final_version(reply: str) -> tuple[str, str] | None:
    """Return what a model planned and its final version; None where it has not got there."""
    *before, text = LAST.split(reply)
    return ("".join(before).strip(), text.strip()) if before and text.strip() else None


def failure(answer: str) -> str | None:
    """Say how an answer shows that the evolution before it failed, or None.

    It only talks (the instruction grew no harder), or asks for what the instruction lost: in one
    short line, or in the first or the last of several. What is between may be a letter.
    """
    lines = [line for line in map(str.strip, answer.split("\n")) if line]
    if len(lines) == 1 and len(lines[0]) <= SHORT and STAGNANT.fullmatch(lines[0]):
        return "only talks"
    ends = (line for line in (*lines[:1], *lines[-1:]) if len(line) <= SHORT)
    return "asks back" if any(map(ASKS_BACK.search, ends)) else None
