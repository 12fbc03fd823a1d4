"""What models write of numbers with very many digits, and of brackets that nobody closes.

Python turns no text of more than 4,300 digits into an integer, nor back; it tells of hexadecimal
ones only when they are written. Readers of replies have an answer for all of them, in a moment.
"""

from collections.abc import Callable
from typing import Any

import pytest

from gristmill.engines.sandbox.values import is_same
from gristmill.generators.enriched_math import tells
from gristmill.generators.okapi_ranks import order_of
from gristmill.pipelines import Drop
from gristmill.text import picture_questions
from gristmill.text.call_plans import read_plan
from gristmill.text.changed_code import changed
from gristmill.text.code_facts import facts
from gristmill.text.equations import numbers, slips
from gristmill.text.evaluators import both_scores, one_score
from gristmill.text.final_score import final_score
from gristmill.text.irac import choice_in
from gristmill.text.json_lines import json_lines
from gristmill.text.math_answers import compare, extract, last_number, number
from gristmill.text.number_slots import answer_of
from gristmill.text.redaction import texts_of_json

DIGITS = "7" * 100_000
HEX = "0x" + "f" * 50_000
DEEP = "[" * 100_000
SPACED = f"{'7' * 5000}. Add them.\n{'7' * 5000} > 2 > 3"
READERS: dict[str, tuple[Callable[[str], Any], str, Any]] = {
    "an answer": (lambda t: compare("7", extract(t) or "").same, DIGITS, None),
    "a number": (number, DIGITS, None),
    "a number before a text": (number, SPACED, None),
    "a number in a text": (lambda t: last_number(t) == t, DIGITS, True),
    "a worked solution": (answer_of, SPACED, None),
    "a goal": (lambda t: tells(t, t, ""), SPACED, False),
    "numbers": (numbers, DIGITS, set()),
    "equations": (slips, f"{DIGITS} + 1 = {DIGITS}", []),
    "a plan": (read_plan, f"{DIGITS}. search({{}})", "it does not end with join()"),
    "a ranking": (lambda t: order_of(t, 3), SPACED, Drop("bad_count", SPACED)),
    "a score": (lambda t: one_score(t, 10), f"Score: 3/{DIGITS}", None),
    "two scores": (lambda t: both_scores(t, 10), f"Score A: 3/{DIGITS}\nScore B: 2/10", None),
    "a last score": (final_score, f"Score: {DIGITS}", None),
    "numbered parts": (picture_questions.numbered_parts, f"Question {DIGITS}: a", []),
    "a choice": (lambda t: choice_in(t, "json"), f'{{"choice": {DIGITS}}}', None),
    "a deep choice": (lambda t: choice_in(t, "json"), DEEP, None),
    "lines of JSON": (json_lines, f'{{"a": {DIGITS}}}', [f'{{"a": {DIGITS}}}']),
    "deep lines": (json_lines, '{"a":' * 100_000, ['{"a":' * 100_000]),
    "texts of JSON": (lambda t: [*texts_of_json(t)], DEEP, [DEEP]),
    "a changed function": (
        lambda t: changed(t, t.replace("0x", "1 + 0x")),
        f"def f():\n    return {HEX}",
        None,
    ),
    "facts of code": (
        lambda t: sorted(facts(t)),
        f"@abstract({HEX})\ndef f():\n    pass",
        ["error"],
    ),
    "a set of values": (
        lambda t: is_same(["S", ["i", t], ["i", "0x1"]], ["S", ["i", "0x1"], ["i", t]]),
        HEX,
        True,
    ),
}


@pytest.mark.parametrize("what", READERS)
def test_nothing_is_made_of_it_and_nothing_fails(what: str) -> None:
    read, text, expected = READERS[what]
    assert read(text) == expected
