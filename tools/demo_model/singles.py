"""Families of tasks that are no pipelines: lists by position, mappings, numbers, texts."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from demo_model.made import SOME, Made, digits, letters, lists, texts, words

Family = Callable[[random.Random], Made]
TABLES = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
NAMES = {
    "lists": ("values", "numbers", "items", "nums"),
    "numbers": ("n", "x", "number"),
    "texts": ("text", "word", "s"),
    "pairs": ("mapping", "scores", "prices", "data"),
}
WORDS_OUT = [
    "low",
    "high",
    "big",
    "small",
    "yes",
    "no",
    "even",
    "odd",
    "good",
    "bad",
    "hot",
    "cold",
    "fizz",
    "buzz",
    "in",
    "out",
    "up",
    "down",
]


def single(stem: str, kind: str, task: dict[str, Any]) -> Family:
    """Return the family of one task on one argument: a list, number, text or dictionary."""

    def family(rng: random.Random) -> Made:
        fill, cases = _drawn(rng, kind, task.get("high", 9))
        body = [line.format(**fill) for line in rng.choice(task["bodies"])]
        made = Made(stem, task["does"].format(**fill), body, task["say"].format(**fill))
        made.args, made.steps = (fill["a"],), min(len(body), 2)
        made.cases = cases()
        made.imports = tuple(task.get("imports", ()))
        return made

    return family


def _drawn(rng: random.Random, kind: str, high: int) -> tuple[dict[str, Any], Callable[[], Any]]:
    """Draw the parameters of a task, and say how to draw inputs afterwards."""
    fill: dict[str, Any]
    if kind == "lists":
        fill = {"k": rng.randint(2, 4), "j": rng.randint(0, 9), "a": rng.choice(NAMES[kind])}
        return fill, lambda: lists(rng, 4)
    if kind == "numbers":
        fill = {"k": rng.randint(2, 5), "j": rng.randint(1, 9), "a": rng.choice(NAMES[kind])}
        fill["h"] = fill["j"] + rng.randint(1, 9)
        fill["c"], fill["d"] = rng.sample(WORDS_OUT, 2)
        return fill, lambda: [(rng.randint(0, high),) for _ in range(6)]
    if kind == "texts":
        signs = "-+*.!?_#:~"
        fill = {"k": rng.randint(2, 4), "a": rng.choice(NAMES[kind]), "p": rng.choice(signs)}
        fill["c"], fill["d"] = rng.sample(SOME, 2)
        return fill, lambda: texts(rng, fill["c"] * 9)
    fill = {"j": rng.randint(1, 9), "k": rng.randint(2, 4), "a": rng.choice(NAMES[kind])}
    fill["c"] = rng.choice(SOME)
    return fill, lambda: [
        ({letters(rng, 1, 3): rng.randint(0, 9) for _ in range(n)},) for n in (2, 2, 1, 1, 0)
    ]


def two(rng: random.Random) -> Made:
    """A family on two arguments."""
    k, j = rng.randint(2, 5), rng.randint(1, 9)
    choices: list[tuple[str, tuple[str, str], str, list[str], str, list[Any]]] = [
        (
            "add_scaled",
            ("a", "b"),
            f"adds {k} times b to a",
            [f"return a + {k} * b"],
            "Multiply, then add",
            [(rng.randint(0, 9), rng.randint(0, 4)) for _ in range(5)],
        ),
        (
            "larger_plus",
            ("a", "b"),
            f"returns the larger of two numbers plus {j}",
            [f"return max(a, b) + {j}"],
            "Compare, then add",
            [(rng.randint(0, 9), rng.randint(0, 9)) for _ in range(5)],
        ),
        (
            "distance",
            ("a", "b"),
            f"returns whether two numbers are at most {j} apart",
            [f"return abs(a - b) <= {j}"],
            "Compare the distance",
            [(rng.randint(0, 9), rng.randint(0, 9)) for _ in range(5)],
        ),
        (
            "repeat_joined",
            ("text", "n"),
            f"repeats a string n times, but at most {k} times",
            [f"return text * min(n, {k})"],
            "Limit the number first",
            [(letters(rng, 1, 3), rng.randint(1, 5)) for _ in range(5)],
        ),
        (
            "add_lists",
            ("left", "right"),
            f"adds two lists element by element and multiplies by {k}",
            [f"return [(x + y) * {k} for x, y in zip(left, right)]"],
            "Zip both lists",
            [(digits(rng, 2, 2), digits(rng, 2, 2)) for _ in range(5)],
        ),
        (
            "common",
            ("left", "right"),
            f"returns the elements of the first list that are in the second or above {j}",
            [f"return [x for x in left if x in right or x > {j}]"],
            "Look up each element",
            [(digits(rng, 2, 3), digits(rng, 1, 2)) for _ in range(5)],
        ),
        (
            "missing",
            ("left", "right"),
            f"returns the elements of the first list that are not in the second and not {j}",
            [f"return [x for x in left if x not in right and x != {j}]"],
            "Look up each element",
            [(digits(rng, 2, 3), digits(rng, 1, 2)) for _ in range(5)],
        ),
        (
            "pair_words",
            ("left", "right"),
            f"joins two strings with {k} dashes",
            [f"return left + '-' * {k} + right"],
            "Put dashes in between",
            [(letters(rng, 1, 4), letters(rng, 1, 4)) for _ in range(5)],
        ),
        (
            "longer_text",
            ("left", "right"),
            f"returns the longer of two strings, cut to {k} characters; the first if equal",
            [f"return max(left, right, key=len)[:{k}]"],
            "Compare the lengths",
            [(letters(rng, 1, 5), letters(rng, 1, 5)) for _ in range(5)],
        ),
        (
            "zip_text",
            ("words", "n"),
            f"joins the first n words by '{'-+*/'[k - 2]}'",
            [f"return '{'-+*/'[k - 2]}'.join(words[:n])"],
            "Slice, then join",
            [(words(rng, 2, 3), rng.randint(1, 3)) for _ in range(5)],
        ),
    ]
    stem, args, does, body, say, cases = rng.choice(choices)
    return Made(stem, does, body, say, args, cases, 2)


def branches(rng: random.Random) -> Made:
    """Three outcomes for a number."""
    low = rng.randint(2, 9)
    high = low + rng.randint(2, 8)
    a, b, c = rng.sample(WORDS_OUT, 3)
    body = rng.choice(
        (
            [
                f"if n < {low}:",
                f"    return '{a}'",
                f"if n < {high}:",
                f"    return '{b}'",
                f"return '{c}'",
            ],
            [f"if n >= {high}:", f"    return '{c}'", f"return '{b}' if n >= {low} else '{a}'"],
        )
    )
    does = rng.choice(
        (
            f"returns '{a}' for a number below {low}, '{b}' below {high} and '{c}' otherwise",
            f"classifies a number: '{a}' below {low}, '{b}' from {low} to {high - 1}, '{c}' above",
        )
    )
    cases = [
        (rng.randint(0, low - 1),),
        (rng.randint(low, high - 1),),
        (rng.randint(high, high + 5),),
    ]
    rng.shuffle(cases)
    return Made("classify", does, body, "Compare with both limits", ("n",), cases, 3)


def fizz(rng: random.Random) -> Made:
    """Words for two divisors."""
    p, q = rng.sample(range(2, 8), 2)
    a, b = rng.sample(WORDS_OUT, 2)
    body = [
        "result = ''",
        f"if n % {p} == 0:",
        f"    result += '{a}'",
        f"if n % {q} == 0:",
        f"    result += '{b}'",
        "return result or str(n)",
    ]
    does = (
        f"returns '{a}' for multiples of {p}, '{b}' for multiples of {q}, both joined for "
        "multiples of both, and the number as a string otherwise"
    )
    return Made(
        "label",
        does,
        body,
        "Add a word for each divisor",
        ("n",),
        [(rng.randint(1, 20),) for _ in range(5)],
        3,
    )


FAMILIES: dict[str, Family] = {
    **{
        stem: single(stem, kind, task)
        for kind, table in TABLES.items()
        for stem, task in table.items()
    },
    "two": two,
    "branches": branches,
    "fizz": fizz,
}
