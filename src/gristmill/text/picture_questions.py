"""Questions about a picture: how a reply numbers them, and what is wrong with one.

Source: Liu et al., "MMInstruct: A High-Quality Multi-Modal Instruction Tuning Dataset with
Extensive Diversity", arXiv:2407.15838, section 3; `yuecao0119/MMInstruct` (Apache-2.0).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from gristmill.text.turns import WholeTurn, whole
from gristmill.text.words import words

Kind = Literal["judgement", "choice", "long", "short"]
Flaw = Literal["no_question", "placeholder", "bad_choices", "bad_answer"]
TAG = re.compile(r"(?im)^[ \t*#]*(question|choices|answer)[ \t]*(\d{1,2})[ \t*]*[:.)][ \t*]*")
OPTION = re.compile(r"(?:^|(?<=\s))[*-]*([A-Z])[).:][ \t*]")
PLACEHOLDER = re.compile(r"<[^<>\n]{1,80}>")
LETTERS = "ABCD"
CLOSINGS: dict[Kind, tuple[str, ...]] = {
    "judgement": (
        "Answer yes or no.", "Is that so? Say yes or no.", "Reply with yes or no alone.",
        "Just yes or no.", "Please answer with yes or with no.", "A yes or a no is enough.",
        "Say whether this is right: yes or no.", "Decide: yes or no.", "Yes, or no?",
        "Give yes or no as your answer.",
    ),
    "choice": (
        "Choose one option.", "Answer with the letter of the right option.",
        "Which option is right?", "Pick the one that fits.", "Name the right choice.",
        "Select one of A, B, C and D.", "Only one of these is right; which?",
        "Give the letter and its text.", "Choose the best answer.", "Tell the correct option.",
    ),
    "long": (
        "Answer in detail.", "Explain at length.", "Please be thorough.", "Give a full answer.",
        "Describe it in detail.", "Say all that matters.", "Write several sentences.",
        "Go into detail.", "Take your time and explain.", "Be as detailed as you can.",
    ),
    "short": (
        "Be brief.", "Answer in a few words.", "Keep it short.", "A word or two is enough.",
        "Give a short answer.", "Reply with a phrase.", "Answer as briefly as you can.",
        "No explanation is needed.", "In a few words only.", "Please answer concisely.",
    ),
}  # fmt: skip
"""Ten ways to say how to answer, per kind."""


class Chance(Protocol):
    """Random numbers that the caller has seeded."""

    def shuffle(self, x: list[str]) -> None:
        """Bring them into another order."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `choices` are the four options of a choice, in the order shown."""

    text: str
    answer: str
    choices: tuple[str, ...] = ()


def numbered_parts(reply: str) -> list[dict[str, str]]:
    """Return the parts of every number in a reply, by tag, in order of number; the first counts."""
    found = list(TAG.finditer(reply))
    ends = [one.start() for one in found[1:]] + [len(reply)]
    parts: dict[int, dict[str, str]] = {}
    for one, end in zip(found, ends, strict=False):
        parts.setdefault(int(one[2]), {}).setdefault(
            one[1].lower(), reply[one.end() : end].strip().strip("*").strip()
        )
    return [parts[number] for number in sorted(parts)]


def read(parts: dict[str, str], kind: Kind, rng: Chance) -> Question | Flaw:
    """Return a question with its answer, or what is wrong with it.

    The options of a choice are shuffled: models like to put the right one first.
    """
    text, answer = parts.get("question", ""), parts.get("answer", "")
    if not text or not answer:
        return "no_question"
    if PLACEHOLDER.search(text):
        return "placeholder"
    if kind == "judgement":
        said = next(iter(words(answer)), "")
        return Question(text, said.title()) if said in ("yes", "no") else "bad_answer"
    return _choice(text, answer, parts.get("choices", ""), rng) if kind == "choice" else Question(
        text, answer
    )  # fmt: skip


def _choice(text: str, answer: str, listed: str, rng: Chance) -> Question | Flaw:
    _, *found = OPTION.split(listed)
    texts = [option.lstrip("* ").rstrip("*- \n\t;,") for option in found[1::2]]
    if found[::2] != [*LETTERS] or "" in texts or len({*map(_same, texts)}) < len(LETTERS):
        return "bad_choices"
    letter = re.match(r"\W*([A-Za-z])(?!\w)", answer)
    if not letter or letter[1].upper() not in LETTERS:
        return "bad_answer"
    right = texts[LETTERS.index(letter[1].upper())]
    rng.shuffle(texts)
    return Question(text, f"{LETTERS[texts.index(right)]}. {right}", tuple(texts))


def _same(text: str) -> str:
    return " ".join(words(text)) or text


def asked(question: Question, closing: str) -> str:
    """Return what is asked: the question, its options, and how to answer."""
    options = [f"{a}. {text}" for a, text in zip(LETTERS, question.choices, strict=False)]
    return "\n".join([question.text, *options, closing])


def about(image: str, question: str, answer: str) -> list[WholeTurn]:
    """Return the turns of a question about an image: the user's has two parts."""
    shown = {"type": "image_url", "image_url": {"url": image}}
    extra = json.dumps({"content": [shown, {"type": "text", "text": question}]}, ensure_ascii=False)
    return [{"role": "user", "content": question, "extra": extra}, whole("assistant", answer)]


def is_balanced(answers: Sequence[str]) -> bool:
    """Say whether half of the judgements are yes."""
    return 2 * answers.count("Yes") == len(answers)
