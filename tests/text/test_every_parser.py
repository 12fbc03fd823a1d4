"""Whatever reads one text takes any text: no exception but those that it names, and none late."""

import builtins
import importlib
import inspect
import pkgutil
import re
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gristmill.constraints
import gristmill.text
from gristmill import errors
from gristmill.constraints.catalogue import check, constraint

MARKS = (
    "a", " ", "\n", "\r\n", "\t", "#", "```", "~~~", '"', "'", '"""', "\\", "(", ")", "[", "]", "{",
    "}", "<", ">", "</think>", "1.", "1/", "-", "*", "|", "$", "=", ":", ";", ",", ".", "?", "\0",
    "\u200b", "\u202e", "\ud800", "\U0001f600", "中", "é", "def f(", "Score: ", "\\frac{", "http://",
)  # fmt: skip
TEXTS = st.text(max_size=60) | st.lists(st.sampled_from(MARKS), max_size=30).map("".join)
PRECISE = {
    "fences.code_in": "a language that is known", "function_parts.prefix": "a part's name",
    "function_parts.flaw": "a function", "number_slots.is_like": "a number",
    "own_modules.stubbed": "Python", "personal.luhn": "digits", "personal.mod97": "digits",
    "python_source.functions": "Python", "tool_calls.api_of": "JSON of our own",
    "type_errors.type_errors": "Python, by mypy",
}  # fmt: skip
"""What takes less than any text, and what it takes."""


def readers():
    for package in (gristmill.text, gristmill.constraints):
        for info in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            for name, one in vars(importlib.import_module(info.name)).items():
                short = f"{info.name.rpartition('.')[2]}.{name}"
                is_ours = inspect.isfunction(one) and one.__module__ == info.name
                if is_ours and name[0] != "_":
                    asked = [
                        x
                        for x in inspect.signature(one).parameters.values()
                        if x.default is x.empty
                    ]
                    if [x.annotation for x in asked] == ["str"] and short not in PRECISE:
                        yield pytest.param(one, id=short)


@pytest.mark.parametrize("read", [*readers()])
def test_any_text_is_read_or_refused_as_it_is_said(read) -> None:
    named = re.findall(r"\w+Error", inspect.getdoc(read) or "")
    known = {**vars(builtins), **vars(errors)}

    @settings(max_examples=5, deadline=None)
    @given(TEXTS)
    @example("".join(MARKS))
    @example("[" * 5000)
    @example("\ud800\0")
    def go(text: str) -> None:
        with suppress(*(known[name] for name in named)):
            found = read(text)
            if inspect.isgenerator(found):
                list(found)

    go()


@settings(max_examples=60, deadline=None)
@given(TEXTS)
@example("(a+)+$" * 20)
@example("a" * 50_000 + "!")
def test_a_pattern_as_a_keyword_is_a_text(text: str) -> None:
    asked = {
        "keywords:existence": {"keywords": ["(a+)+$"]},
        "keywords:forbidden_words": {"forbidden_words": ["(a|aa)+$"]},
        "keywords:frequency": {"keyword": "(a*)*b", "frequency": 1, "relation": "at least"},
    }
    found = [check(constraint(cid, params), text).passed for cid, params in asked.items()]
    assert found == (
        [True, True, False] if "(a+)+$" in text else [False, bool(text.strip()), False]
    )
