"""Conditions: `scores.ifd.ppl < 1 and words(output) > 5` as a Polars expression.

Nothing is evaluated as Python: what the grammar does not have is an error with its place.

    condition   one of, by `or` and `and`: a comparison, a column of yes and no, `not` condition,
                ( condition )
    comparison  value < value; also <=, >, >=, ==, != and chains of them; value [not] in
                [literal, ...]; value is [not] null; has(column, literal) for lists
    value       column, chars(column), words(column), number, "text", 'text', true, false
    column      name or dotted.name; in backticks with any other letters in it

What is missing is null, and so is NaN. A comparison with null is null; `and` and `or` are null only
where the other side does not decide.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MAX_CHARS = 4000
MAX_DEPTH = 50
TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?\b)|(?P<text>\"[^\"]*\"|'[^']*')"
    r"|(?P<quoted>`[^`]+`)|(?P<name>[^\W\d]\w*(?:\.\w+)*)|(?P<sign>[<>=!]=|[<>()\[\],]))"
)
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
LITERALS = {"true": True, "false": False}
FUNCTIONS = ("chars", "words", "has")
RESERVED = frozenset({"and", "or", "not", "in", "is", "null", *LITERALS})


@dataclass
class Condition:
    """A parsed condition."""

    expression: Any
    """Polars, over columns with dotted names; true, false or null."""
    columns: set[str] = field(default_factory=set)
    """Every column that it names."""
    truths: set[str] = field(default_factory=set)
    """Those that stand alone and must be yes or no."""


def parse(text: str) -> Condition:
    """Parse a condition; ValueError says what was expected, and where."""
    if len(text) > MAX_CHARS:
        raise ValueError(f"{len(text)} characters, expected at most {MAX_CHARS}")
    parser = _Parser(text)
    parser.found.expression = parser.either()
    if parser.kind:
        parser.fail("the end, `and` or `or`")
    if not parser.found.columns:
        raise ValueError(f"'{text}' names no column")
    return parser.found


class _Parser:
    """One pass, one token ahead."""

    def __init__(self, text: str) -> None:
        import polars

        self.pl, self.text, self.end, self.depth = polars, text.rstrip(), 0, 0
        self.found = Condition(None)
        self.step()

    def step(self) -> str:
        """Go to the next token; return the one before."""
        before = getattr(self, "token", "")
        self.start = self.end
        self.kind, self.token = "", ""
        if self.end < len(self.text):
            match = TOKEN.match(self.text, self.end)
            if match is None:
                self.fail("a name, number, text or sign")
            else:
                self.kind = str(match.lastgroup)
                self.token, self.end = match[self.kind], match.end()
        return before

    def fail(self, wanted: str) -> None:
        """Raise the error that names the place."""
        rest = self.text[self.start :].strip()[:20]
        raise ValueError(
            f"expected {wanted} at character {self.start + 1}, found '{rest or 'the end'}'"
        )

    def takes(self, *tokens: str) -> bool:
        """Go on if the next token is one of these."""
        hit = self.kind in ("name", "sign") and self.token in tokens
        if hit:
            self.step()
        return hit

    def needs(self, token: str) -> None:
        if not self.takes(token):
            self.fail(f"'{token}'")

    def either(self) -> Any:
        parts = [self.all()]
        while self.takes("or"):
            parts.append(self.all())
        return _joined(operator.or_, parts)

    def all(self) -> Any:
        parts = [self.one()]
        while self.takes("and"):
            parts.append(self.one())
        return _joined(operator.and_, parts)

    def one(self) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} conditions inside each other")
        if self.takes("not"):
            inner = ~self.one()
        elif self.takes("("):
            inner = self.either()
            self.needs(")")
        else:
            inner = self.comparison()
        self.depth -= 1
        return inner

    def comparison(self) -> Any:
        if self.kind == "name" and self.token == "has":
            self.step()
            return self.has()
        is_column, name = self.kind in ("name", "quoted"), self.token.strip("`")
        left, parts = self.value(), list[Any]()
        while self.kind == "sign" and self.token in COMPARE:
            compare = COMPARE[self.step()]
            right = self.value()
            parts.append(compare(left, right))
            left = right
        if parts:
            return _joined(operator.and_, parts)
        if self.takes("is"):
            return self.null(left)
        if self.takes("in"):
            return self.member(left)
        if self.takes("not"):
            self.needs("in")
            return ~self.member(left)
        if not is_column or name not in self.found.columns:
            self.fail("a comparison")
        self.found.truths.add(name)
        return left

    def null(self, value: Any) -> Any:
        is_not = self.takes("not")
        self.needs("null")
        return value.is_not_null() if is_not else value.is_null()

    def member(self, value: Any) -> Any:
        self.needs("[")
        wanted = [self.literal()]
        while self.takes(","):
            wanted.append(self.literal())
        self.needs("]")
        return _joined(operator.or_, [value == self.pl.lit(one) for one in wanted])

    def has(self) -> Any:
        self.needs("(")
        column = self.column()
        self.needs(",")
        wanted = self.literal()
        self.needs(")")
        return column.list.contains(wanted)

    def value(self) -> Any:
        if self.kind == "name" and self.token in FUNCTIONS[:2]:
            name = self.step()
            if not self.takes("("):
                return self.named(name)
            column = self.column()
            self.needs(")")
            text = column.str
            return text.len_chars() if name == "chars" else text.count_matches(r"\S+")
        if self.kind == "quoted" or (self.kind == "name" and self.token not in RESERVED):
            return self.column()
        return self.pl.lit(self.literal())

    def column(self) -> Any:
        if self.kind != "quoted" and (self.kind != "name" or self.token in RESERVED):
            self.fail("a column")
        return self.named(self.step().strip("`"))

    def named(self, name: str) -> Any:
        self.found.columns.add(name)
        return self.pl.col(name)

    def literal(self) -> Any:
        kind, token = self.kind, self.token
        if kind == "name" and token in LITERALS:
            return LITERALS[self.step()]
        if kind not in ("number", "text"):
            self.fail("a column, number, text, true or false")
        self.step()
        if kind == "text":
            return token[1:-1]
        return float(token) if set(token) & set(".eE") else int(token)


def _joined(join: Callable[[Any, Any], Any], parts: list[Any]) -> Any:
    """Join in halves: a chain of 2,000 takes Polars minutes, which goes down it one by one."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return join(_joined(join, parts[:half]), _joined(join, parts[half:]))
