"""Final answers of mathematics: found in a text, cleaned, compared without evaluating anything.

Source: our own ladder, after the behaviour of Math-Verify and of PAL-style graders: each rung says
equal, different or unknown, and the first that knows decides. What needs algebra stays unknown
here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from gristmill.text.measures import MONEY, Measure, end_of_unit, measure, spelled

MAX_CHARS = 300
"""Longer answers are compared as texts only."""
RELATIVE, ABSOLUTE = Fraction(1, 10**6), Fraction(1, 10**9)
"""How far a decimal answer may be off."""
TAGGED = re.compile(r"(?is)<answer>((?:(?!<answer>).)*?)</answer>")
LINES = (re.compile(r"(?m)^#### *(.+)$"), re.compile(r"(?m)^A: *(.+)$"))
PHRASE = re.compile(r"(?i)\banswer\s+is:?\s*(.+?)(?:\.(?=\s|$)|$)", re.MULTILINE)
_GROUPED = r"\d{1,3}(?:(?:[\u00a0\u2009\u202f]|\\[,;: !]|\{,\})\d{3})+(?!\d)"
"""Groups of three between narrow or no-break spaces, those of LaTeX, or its comma in braces."""
_BRACES = r"\{(?:[^{}]|\{[^{}]*\})*\}"
LAST = re.compile(
    r"(?:(?<![\w)\]}])[-\u2212](?:\$|[€£¥₹₩] ?)?)?(?:"
    r"(?<![\w.,])\d+(?:\.\d+)? ?(?:\\times|\\cdot|[*·\u00d7]) ?10\^\{?-?\d+\}?|"
    rf"(?:\d+ ?)?\\(?:[dt]?frac(?:{_BRACES}{_BRACES}|\d\d)|sqrt{_BRACES})|"
    rf"(?<![\w^.])(?<!\^[{{-])(?<!\^\{{-)(?:\d+ (?=\d+/\d))?"
    rf"(?:(?:{_GROUPED}|\d+(?:,\d+)*)(?:\.\d+)?|\.\d+)"
    r"(?:\^\{?-?\d+\}?|\s*/\s*\d+)?(?:\\?%| ?(?:\\pi|π))?)"
)
"""A number as people write one: with its sign, its power, as a fraction; `2` of `cm^2` is none."""
NOISE = re.compile(
    r"\\left(?![a-z])|\\right(?![a-z])|\\[!,;: ]|\\displaystyle|\\?\$|\^\{?\\circ\}?|°"
)
TEXT = re.compile(r"\\(?:text|mathrm|textbf|mbox|mathbf)\{([^{}]*)\}")
SHORT_FRACTION = re.compile(r"\\frac(?:(\d)(\d)|\{([^{}]*)\}\{([^{}]*)\})")
GROUPED = re.compile(rf"(?<![\d.,]){_GROUPED}")
COMMAS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?:(?P<whole>\d+) )?(?P<top>(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?)"
    r"(?:/(?P<bottom>\d+))?(?P<percent>%?)",
    re.IGNORECASE,
)
SCIENTIFIC = re.compile(r"([+-]?\d+(?:\.\d+)?) ?(?:\\times|\\cdot|[*·\u00d7]) ?10\^\{?(-?\d+)\}?")
CHOICE = re.compile(r"\(?([A-J])\)?[.:]?")
UNWRAP = re.compile(r"[a-zA-Z] ?= ?([^=]+)")
WORDS = re.compile(r"[^\W\d_]{2,}(?:[ '-][^\W\d_]+)*")
HARMLESS = re.compile(r"[\w\\{}()\[\]^+*/=<>,.|!:;&% -]+", re.ASCII)
DANGER = re.compile(r"__|\*\*|\^[^ +*/=,-]*\^|\^\{?-?\d{5}|[{(\[]{9}")
"""What is never sent to a parser: names of Python, towers and huge exponents, deep nesting."""
OPEN, CLOSE = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class Found:
    """What a rung says: the same, different, or None where it cannot tell."""

    same: bool | None
    rung: str


def extract(text: str, gold: str = "") -> str | None:
    """Return the final answer of a response: the most explicit form that it has, else None.

    In order: a tagged field, the last box, a line that starts with #### or A:, "answer is", the
    last number with its unit. An empty box is an empty answer, not a reason to look on. Where the
    right answer has a unit, what stands behind the last number is taken for one, too.
    """
    if found := TAGGED.findall(text):
        return str(found[-1]).strip() or None
    if (boxed := last_box(text)) is not None:
        return boxed.strip() or None
    if found := LINES[0].findall(text):
        return str(found[-1]).strip()
    if line := LINES[1].search(text):
        return line[1].strip()
    if found := PHRASE.findall(text):
        return str(found[-1]).strip() or None
    return last_measure(text, any_word=_measured(gold) is not None)


def last_measure(text: str, *, any_word: bool = False) -> str | None:
    """Return the last number of a text, with its unit where that is known, or is `any_word`."""
    if not (found := [*LAST.finditer(text)]):
        return None
    begin, end = found[-1].span()
    money = MONEY.search(text[max(0, begin - 8) : begin])
    end = end_of_unit(text, end, any_word=any_word and not money)
    line = text[text.rfind("\n", 0, begin) + 1 :].partition("\n")[0]
    if line.count("$") == 1 and text.startswith("$", end):
        return text[begin : end + 1]
    is_price = money and "$" not in text[begin:].partition("\n")[0]
    return (money[0].removeprefix("\\") if money and is_price else "") + text[begin:end]


def last_number(text: str) -> str | None:
    """Return the last number of a text, as it stands there; None without one."""
    found = LAST.findall(text)
    return found[-1] if found else None


def gold_of(reference: str) -> str:
    """Return the answer that a worked solution marks, or a reference as it is."""
    marks = (TAGGED, *LINES)
    is_worked = last_box(reference) is not None or any(mark.search(reference) for mark in marks)
    return (extract(reference) or "") if is_worked else reference


def last_box(text: str) -> str | None:
    r"""Return what the last `\boxed{...}` holds, its braces balanced; None without one."""
    start = max(text.rfind(r"\boxed{"), text.rfind(r"\fbox{"))
    if start < 0:
        return None
    at = begin = text.index("{", start) + 1
    depth = 1
    while at < len(text) and depth:
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
    return text[begin : at - 1] if not depth else None


def is_harmless(text: str) -> bool:
    """Say whether a parser may see it: short, plain mathematics, nothing that takes for ever."""
    return len(text) <= MAX_CHARS and bool(HARMLESS.fullmatch(text)) and not DANGER.search(text)


def clean(text: str) -> str:
    """Return an answer without what changes nothing: marks, units, thousands commas, spaces."""
    text = text.strip().replace("\u2212", "-").replace("\\%", "%")
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    text = GROUPED.sub(lambda found: re.sub(r"\D", "", found[0]), text)
    text = NOISE.sub("", text).strip()
    bare = TEXT.sub("", text).strip()
    text = bare if re.search(r"\d", bare) else TEXT.sub(r"\1", text)
    text = re.sub(r"(\d)\\frac", r"\1 \\frac", text)
    text = SHORT_FRACTION.sub(_fraction, text)
    text = COMMAS.sub(lambda found: found[0].replace(",", ""), text)
    return re.sub(r"\s+", " ", text).strip().rstrip(".").strip()


def _fraction(found: re.Match[str]) -> str:
    top, bottom = (found[1], found[2]) if found[1] else (found[3].strip(), found[4].strip())
    is_plain = re.fullmatch(r"-?\d+", top) and re.fullmatch(r"\d+", bottom)
    return f"{top}/{bottom}" if is_plain else found[0]


def number(text: str) -> tuple[Fraction, bool] | None:
    """Return the exact value of a number and whether it is a percentage; None for anything else."""
    if len(text) > MAX_CHARS:
        return None
    power = SCIENTIFIC.fullmatch(text)
    found = NUMBER.fullmatch(f"{power[1]}e{power[2]}" if power else text)
    if not found or (found["whole"] and not found["bottom"]):
        return None
    bottom = Fraction(found["bottom"] or 1)
    if not bottom:
        return None
    value = Fraction(found["top"]) / bottom + Fraction(found["whole"] or 0)
    value = -value if found["sign"] == "-" else value
    return (value / 100, True) if found["percent"] else (value, False)


def compare(
    gold: str, answer: str, *, allow_rounding: bool = False, in_percent: bool = False
) -> Found:
    """Compare an answer with the right one; `Found.same` is None where it takes algebra."""
    a, b = clean(gold), clean(answer)
    if not a or not b:
        return Found(False if a else None, "empty")
    agreed = _by_units(gold, answer)
    if isinstance(agreed, Found):
        return agreed
    if a == b:
        return Found(True, "text")
    if len(a) > MAX_CHARS or len(b) > MAX_CHARS:
        return Found(None, "length")
    a, b = (UNWRAP.fullmatch(t)[1].strip() if UNWRAP.fullmatch(t) else t for t in (a, b))  # type: ignore[index]
    a, b = agreed or (a, b)
    x, y = number(a), number(b)
    if x and y:
        return _compare_numbers(x, y, a, allow_rounding=allow_rounding, in_percent=in_percent)
    if (left := CHOICE.fullmatch(a)) and (right := CHOICE.fullmatch(b)):
        return Found(left[1] == right[1], "choice")
    if (these := _parts(a)) and (those := _parts(b)):
        return _compare_parts(these, those)
    if WORDS.fullmatch(a) and WORDS.fullmatch(b):
        return Found(a.casefold() == b.casefold(), "text")
    return Found(None, "algebra")


def _by_units(gold: str, answer: str) -> Found | tuple[str, str] | None:
    """Return the numbers of two answers whose units agree; rung `unit` where nobody can tell."""
    left, right = _measured(gold), _measured(answer)
    if left and right:
        if left.unit == right.unit:
            return left.number, right.number
        return Found(None, "unit") if left.is_word or right.is_word else None
    a, b = clean(gold), clean(answer)
    if not (one := left or right) or a == b or not number(b if left else a):
        return None
    if one.can_be_left_out:
        return (one.number, b) if left else (a, one.number)
    return Found(None, "unit") if one.is_word and one.is_apart else None


def _measured(text: str) -> Measure | None:
    if len(text) > MAX_CHARS:
        return None
    found = measure(clean(TEXT.sub(r" \1 ", spelled(text))))
    is_one = found and (number(found.number) or found.can_be_left_out or TEXT.search(text))
    return found if is_one else None


def _compare_numbers(
    gold: tuple[Fraction, bool],
    answer: tuple[Fraction, bool],
    text: str,
    *,
    allow_rounding: bool,
    in_percent: bool,
) -> Found:
    (x, gold_is_percent), (y, is_percent) = gold, answer
    if is_percent and not (gold_is_percent or in_percent):
        return Found(False, "percent")
    if x == y:
        return Found(True, "exact")
    if x.denominator == y.denominator == 1:
        return Found(False, "exact")
    if abs(x - y) <= max(RELATIVE * abs(x), ABSOLUTE):
        return Found(True, "float")
    decimals = re.fullmatch(r"[+-]?\d*\.(\d+)", text)
    if allow_rounding and decimals:
        return Found(abs(x - y) <= Fraction(1, 2 * 10 ** len(decimals[1])), "rounded")
    return Found(False, "float")


def _parts(text: str) -> tuple[str, list[str]] | None:
    """Return the brackets and the parts between their commas; no brackets for a bare list."""
    text = text.replace("\\{", "{").replace("\\}", "}")
    has_brackets = len(text) > 1 and text[0] in OPEN and text[-1] in CLOSE
    inner = text[1:-1] if has_brackets else text
    parts, depth, begin = [], 0, 0
    for i, letter in enumerate(inner):
        depth += (letter in OPEN) - (letter in CLOSE)
        if depth < 0:
            return None
        if letter == "," and not depth:
            parts.append(inner[begin:i].strip())
            begin = i + 1
    parts.append(inner[begin:].strip())
    if depth or not all(parts) or len(parts) < 2:
        return None
    return (text[0] + text[-1] if has_brackets else ""), parts


def _compare_parts(gold: tuple[str, list[str]], answer: tuple[str, list[str]]) -> Found:
    """Compare in order, sets in any order; which brackets there are matters."""
    if gold[0] != answer[0]:
        return Found(False if gold[0] and answer[0] else None, "structure")
    if len(gold[1]) != len(answer[1]):
        return Found(None if gold[0] == "{}" else False, "structure")
    table = [[compare(a, b).same for b in answer[1]] for a in gold[1]]
    if gold[0] != "{}":
        row = [table[i][i] for i in range(len(table))]
        return Found(False if False in row else None if None in row else True, "structure")
    if _matches([[same is True for same in row] for row in table]):
        return Found(True, "structure")
    can = _matches([[same is not False for same in row] for row in table])
    return Found(None if can else False, "structure")


def _matches(table: list[list[bool]]) -> bool:
    """Say whether every row can have a column of its own: augmenting paths, O(n^3)."""
    taken: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column, fits in enumerate(table[row]):
            if fits and column not in seen:
                seen.add(column)
                if column not in taken or place(taken[column], seen):
                    taken[column] = row
                    return True
        return False

    return all(place(row, set()) for row in range(len(table)))
