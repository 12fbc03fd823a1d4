"""Inside the sandbox: tests that count their asserts, and code that does nothing.

Which asserts a run turns round is drawn outside for each run, and a second run turns round the
others: what an assert has to report says nothing about what the other asserts have to.
"""

import _ast as ast

from gristmill.engines.sandbox.chance import pick
from gristmill.engines.sandbox.trees import FUNCTIONS, at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gristmill.engines.sandbox.trees import Nodes

DRAWN = 256
"""Bits that were drawn outside; the asserts share them."""


class Asserts:
    """The asserts of a text in their order, and what each has to report."""

    def __init__(self, nodes: "Nodes", marks: int) -> None:
        """Give every assert two words; one whose bit is set in `marks` is turned round."""
        self.all = sorted(
            (node for node in nodes.of(ast.Assert) if not never_true(node)),
            key=lambda node: (node.lineno, node.col_offset),
        )
        self.leads = {
            id(node.test): ("equal" if is_equality(node.test) else "hold", i)
            for i, node in enumerate(self.all)
        }
        """What the condition of an assert goes through."""
        self.wanted = [not is_denial(node.test) for node in self.all]
        """What truth each asks for: the tests' instructions do not tell."""
        self.marks = [marks >> i % DRAWN & 1 for i in range(len(self.all))]
        words = [pick(1 << 31) for _ in self.all]
        self.words = [(word, word ^ (1 + pick(1 << 30))) for word in words]
        """What an assert reports when it does not hold, and when it does."""

    def expected(self) -> list[str]:
        """Return what each has to report, encoded: that it holds, or, turned round, that not."""
        pairs = zip(self.words, self.marks, strict=True)
        return [f'["i","{hex(words[1 - mark])}"]' for words, mark in pairs]


def never_true(node: "ast.Assert") -> bool:
    """Say whether an assert marks a line that must not be reached."""
    return isinstance(node.test, ast.Constant) and not node.test.value


def is_equality(test: "Any") -> bool:
    """Say whether a condition is one `==`."""
    return isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)


def is_denial(test: "Any") -> bool:
    """Say whether a condition asks for what is not true."""
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)


def empty(block: "list[Any]") -> "list[Any]":
    """Return the code with functions that return None, and classes with nothing but those."""
    if not any(isinstance(node, (*FUNCTIONS, ast.ClassDef)) for node in block):
        return []
    for node in block:
        if isinstance(node, FUNCTIONS):
            node.body = [at(ast.Pass(), node)]
            node.decorator_list = []
        elif isinstance(node, ast.ClassDef):
            methods = [part for part in node.body if isinstance(part, FUNCTIONS)]
            node.body = empty(methods) or [at(ast.Pass(), node)]
            node.bases, node.keywords, node.decorator_list = [], [], []
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            node.value.body = at(ast.Constant(None), node)
    return block
