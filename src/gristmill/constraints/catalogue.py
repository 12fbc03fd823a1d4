"""All types of constraints by id, and what judges a response by them: strictly or loosely.

Source: Zhou et al., "Instruction-Following Evaluation for Large Language Models",
arXiv:2311.07911, section 2.3 (strict and loose).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from gristmill.constraints import ifeval
from gristmill.constraints.kinds import Kind, Verdict
from gristmill.constraints.mul_dim import MUL_DIM
from gristmill.constraints.names import NAMES, Named
from gristmill.constraints.parts import Scope
from gristmill.errors import InputError
from gristmill.limit import Ended, Limited

MAX_CHARS = 1_000_000
"""A longer response is an error: at this length a check takes about a second at most."""
LIMIT_S = 5.0
"""Processor time of one check: some twice what the slowest text found takes."""
MOST_AT_ONCE = 32
"""Responses that are judged together."""
HERE_CHARS = 200_000
"""More of them are judged in a process of its own."""
_LIMITED = Limited("gristmill.constraints.judging")
MAX_DETECTED = 100
"""Texts whose language one check tells: up to 20 ms each."""

IFEVAL: dict[str, Kind] = {
    "keywords:existence": Kind(ifeval.existence, "Use these keywords: {keywords}."),
    "keywords:frequency": Kind(
        ifeval.frequency, "The word {keyword} appears {relation} {frequency} times."
    ),
    "keywords:forbidden_words": Kind(
        ifeval.forbidden_words, "Do not use these words: {forbidden_words}."
    ),
    "keywords:letter_frequency": Kind(
        ifeval.letter_frequency, "The letter {letter} appears {let_relation} {let_frequency} times."
    ),
    "language:response_language": Kind(
        ifeval.response_language,
        "Write all of it in the language with the ISO code {language}.",
        most=MAX_DETECTED,
    ),
    "length_constraints:number_sentences": Kind(
        ifeval.number_sentences, "Write {relation} {num_sentences} sentences."
    ),
    "length_constraints:number_paragraphs": Kind(
        ifeval.number_paragraphs,
        "Write exactly {num_paragraphs} paragraphs with a line of three stars, ***, between them.",
    ),
    "length_constraints:number_words": Kind(
        ifeval.number_words, "Write {relation} {num_words} words."
    ),
    "length_constraints:nth_paragraph_first_word": Kind(
        ifeval.nth_paragraph_first_word,
        "Write exactly {num_paragraphs} paragraphs with one blank line between them; paragraph "
        "number {nth_paragraph} begins with the word {first_word}.",
    ),
    "detectable_content:number_placeholders": Kind(
        ifeval.number_placeholders,
        "Leave at least {num_placeholders} placeholders in square brackets, such as [name].",
    ),
    "detectable_content:postscript": Kind(
        ifeval.postscript, "End with a postscript that begins with {postscript_marker}"
    ),
    "detectable_format:number_bullet_lists": Kind(
        ifeval.number_bullet_lists,
        "Write exactly {num_bullets} bullet points, each a line that begins with a star: * like "
        "this.",
    ),
    "detectable_format:constrained_response": Kind(
        ifeval.constrained_response,
        "Answer with one of these: " + " ".join(ifeval.ANSWERS),
    ),
    "detectable_format:number_highlighted_sections": Kind(
        ifeval.number_highlighted_sections,
        "Highlight at least {num_highlights} passages with stars, *like this*.",
    ),
    "detectable_format:multiple_sections": Kind(
        ifeval.multiple_sections,
        "Write at least {num_sections} sections, each headed by {section_spliter} and its number.",
    ),
    "detectable_format:json_format": Kind(ifeval.json_format, "Write nothing but JSON."),
    "detectable_format:title": Kind(
        ifeval.title, "Give it a title in double angular brackets, <<like this>>."
    ),
    "combination:two_responses": Kind(
        ifeval.two_responses,
        "Give two different answers with six stars, ******, between them and nowhere else.",
    ),
    "combination:repeat_prompt": Kind(
        ifeval.repeat_prompt,
        "First repeat this word for word, with nothing before it, then answer: {prompt_to_repeat}",
    ),
    "startend:end_checker": Kind(
        ifeval.end_checker, "End with exactly these words and nothing after them: {end_phrase}"
    ),
    "startend:quotation": Kind(ifeval.quotation, "Put all of it in double quotation marks."),
    "change_case:capital_word_frequency": Kind(
        ifeval.capital_word_frequency,
        "Words in capital letters alone appear {capital_relation} {capital_frequency} times.",
    ),
    "change_case:english_capital": Kind(
        ifeval.english_capital,
        "Write all of it in English and in capital letters.",
        most=MAX_DETECTED,
    ),
    "change_case:english_lowercase": Kind(
        ifeval.english_lowercase,
        "Write all of it in English, without a capital letter.",
        most=MAX_DETECTED,
    ),
    "punctuation:no_comma": Kind(ifeval.no_comma, "Do not use a comma."),
}
KINDS = IFEVAL | MUL_DIM
"""All types. A module of yours may add one when it is imported, and is then judged apart."""
OURS = frozenset(kind.check.__module__ for kind in KINDS.values())
"""Whose checks are Python, patterns, and what is linear: a signal ends them."""
IN_WORDS: dict[Scope, str] = {
    "response": "",
    "reasoning": "For your reasoning, before the answer: ",
    "each_paragraph": "For each paragraph: ",
    "each_line": "For each line: ",
    "each_bullet": "For each bullet point: ",
    "each_cell": "For each cell of a table: ",
}


@dataclass(frozen=True, slots=True)
class Constraint:
    """A type and its parameters, as `constraint` has checked them."""

    cid: str
    params: Mapping[str, Any]
    scope: Scope = "response"

    @property
    def text(self) -> str:
        """The sentence that asks a model for it."""
        return IN_WORDS[self.scope] + KINDS[self.cid].text(self.params)


def constraint(cid: str, params: Mapping[str, Any], scope: str | None = None) -> Constraint:
    """Return a constraint with checked parameters, under the name that the catalogue has for it.

    Args:
        cid: An id of `KINDS`, with or without the prefix `en:`, or one of `NAMES`.
        params: Its parameters; those that are None are not there.
        scope: Which part of a response is judged; None is what the name says, or all of it.

    Raises:
        InputError: there is no such type or scope, or a parameter is missing, unknown or out of
            range.
    """
    known = cid.removeprefix("en:")
    named = NAMES.get(known, Named(known))
    if named.cid not in KINDS:
        near = get_close_matches(known, [*KINDS, *NAMES], n=1)
        hint = f"did you mean '{near[0]}'?" if near else "KINDS of the catalogue has all"
        raise InputError(f"there is no constraint '{cid:.60}'; {hint}")
    if scope not in (None, *IN_WORDS):
        raise InputError(f"there is no scope '{scope:.60}'; it is one of {sorted(IN_WORDS)}")
    part = named.scope if scope is None else next(x for x in IN_WORDS if x == scope)
    return Constraint(named.cid, KINDS[named.cid].params(cid, {**named.params, **params}), part)


def check(
    wanted: Constraint, response: str | None, *, strict: bool = True, limit_s: float = LIMIT_S
) -> Verdict:
    """Judge a response, as `check_all` does."""
    return check_all([wanted], [response], strict=strict, limit_s=limit_s)[0][0]


def check_all(
    wanted: Sequence[Constraint],
    responses: Sequence[str | None],
    *,
    strict: bool = True,
    limit_s: float = LIMIT_S,
) -> list[list[Verdict]]:
    """Judge every response by every constraint, each within a limit of time.

    A check that goes on and on is ended, in any thread (`gristmill.limit`). Outside of the main
    one, asking costs 0.05 to 0.3 ms for up to 32 responses: prefer one call to many.

    Args:
        wanted: Constraints, as `constraint` makes them.
        responses: What models wrote; one that is missing or blank follows nothing.
        strict: False counts a constraint as followed when any of the `variants` follows it.
        limit_s: Seconds of processor time for one check; at its end the verdict is `timeout`.

    Raises:
        RequirementError: a language is to be told, and the package that tells it is missing.
    """
    return [ways[0] for ways in _judge(wanted, responses, (strict,), limit_s)]


def check_both(
    wanted: Sequence[Constraint], response: str | None, *, limit_s: float = LIMIT_S
) -> tuple[list[Verdict], list[Verdict]]:
    """Judge a response strictly and loosely, in one question; else as `check_all` does."""
    strict, loose = _judge(wanted, [response], (True, False), limit_s)[0]
    return strict, loose


Ways = list[list[Verdict]]
"""The verdicts on a response, by way (strictly, loosely, or both) and constraint."""


def _judge(
    wanted: Sequence[Constraint],
    responses: Sequence[str | None],
    ways: tuple[bool, ...],
    limit_s: float,
) -> list[Ways]:
    known = [_without_a_check(text or "", len(wanted)) for text in responses]
    found = [[verdicts or []] * len(ways) for verdicts in known]
    left = [i for i, verdicts in enumerate(known) if verdicts is None]
    for first in range(0, len(left), MOST_AT_ONCE):
        places = left[first : first + MOST_AT_ONCE]
        told = _told(wanted, [responses[i] or "" for i in places], ways, limit_s)
        for i, verdicts in zip(places, told, strict=True):
            found[i] = verdicts
    return found


def _told(
    wanted: Sequence[Constraint], texts: list[str], ways: tuple[bool, ...], limit_s: float
) -> list[Ways]:
    """Ask for all together; when that meets the limit, for one check after the other."""
    asked = [(one.cid, one.params, one.scope) for one in wanted]
    modules = {KINDS[one.cid].check.__module__ for one in wanted}
    apart = not modules <= OURS or sum(map(len, texts)) > HERE_CHARS
    answer = _LIMITED.ask((asked, texts, ways, modules), limit_s, apart=apart)
    if not isinstance(answer, Ended):
        return list(answer)
    if len(texts) * len(wanted) * len(ways) > 1:
        return [_one_by_one(wanted, text, ways, limit_s) for text in texts]
    return [[[Verdict("timeout" if answer.by_limit else "error", answer.why)]]]


def _one_by_one(
    wanted: Sequence[Constraint], text: str, ways: tuple[bool, ...], limit_s: float
) -> Ways:
    found: Ways = []
    for way in ways:
        known = found[0] if found else [None] * len(wanted)
        found.append(
            [
                before
                if before and before.is_loose_too
                else _told([one], [text], (way,), limit_s)[0][0][0]
                for one, before in zip(wanted, known, strict=True)
            ]
        )
    return found


def _without_a_check(text: str, n: int) -> list[Verdict] | None:
    """Return the verdicts of `n` constraints where none has to look at the text."""
    if not n:
        return []
    if not text or text.isspace():
        return [Verdict("fail", "no response")] * n
    if len(text) > MAX_CHARS:
        why = f"{len(text)} characters, {MAX_CHARS} are judged at most"
        return [Verdict("error", why)] * n
    return None


def check_ifeval(
    instruction_ids: Sequence[str],
    kwargs: Sequence[Mapping[str, Any] | None],
    response: str | None,
    strict: bool = True,
) -> list[bool]:
    """Return whether a response follows each instruction; what cannot be judged is False.

    Args:
        instruction_ids: Types of IFEval, with or without the prefix `en:`.
        kwargs: The parameters of each; those that are None are not there.
        response: What a model wrote; a missing or blank one follows nothing.
        strict: False counts an instruction as followed when any of the variants follows it.

    Raises:
        InputError: a type or parameter is unknown, missing or out of range.
        RequirementError: a language is to be told, and the package that tells it is missing.
    """
    if len(instruction_ids) != len(kwargs):
        raise InputError(f"{len(instruction_ids)} instruction_ids, but {len(kwargs)} kwargs")
    wanted = [constraint(i, k or {}) for i, k in zip(instruction_ids, kwargs, strict=True)]
    return [verdict.passed for verdict in check_all(wanted, [response], strict=strict)[0]]
