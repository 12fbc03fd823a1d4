"""Inside the sandbox, in the parser: what may be compared outside the program's process.

Only what the code itself gives goes there as it is. As soon as the tests compute with a result, or
compare it, objects of the code take part in that: then a wrong result can come out right without
knowing what is expected, as when `round(f(2) - 1.41421, 6)` shall be 0. Such tests stay with the
program, and are guarded there.
"""

import _ast as ast

from gristmill.engines.sandbox.trees import FUNCTIONS, PREFIX, literal, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNARY = {
    *("abs", "bool", "bytes", "float", "int", "len", "list", "max", "min", "next", "repr"),
    *("round", "sorted", "str", "sum", "tuple"),
}
"""Built-in functions that make of one result another that says as much as it did. Not `set` and
`dict`: they ask items whether they are equal, and drop those that say so."""

HARMLESS = (ast.Import, ast.ImportFrom, ast.Pass, ast.Assign, ast.ClassDef, *FUNCTIONS)
"""Statements that compare nothing where they are not about the code."""


class Tests:
    """The top level of tests: which names stand for results of the code, which for inputs.

    `given` are the names that come from the code, `classes` those of them that are classes.
    """

    def __init__(self, given: set[str], classes: set[str]) -> None:
        self.given, self.classes = given, classes
        self.results: set[str] = set()
        self.instances: set[str] = set()

    def take(self, node: "Any") -> bool:
        """Say whether a statement beside the asserts only calls the code, or prepares inputs."""
        if isinstance(node, ast.Expr):
            return self.is_result(node.value)
        if isinstance(node, ast.Assign) and self.asks(node.value):
            return self.keeps(node)
        return isinstance(node, HARMLESS) and not self.asks(node)

    def keeps(self, node: "ast.Assign") -> bool:
        """Say whether a statement gives one new name to what the code gave."""
        target = node.targets[0]
        if len(node.targets) > 1 or not isinstance(target, ast.Name) or self.asks(target):
            return False
        if not self.is_result(node.value):
            return False
        (self.instances if self.makes(node.value) else self.results).add(target.id)
        return True

    def asks(self, node: "Any") -> bool:
        """Say whether anything of the code is in a part of the tests."""
        known = self.given | self.results | self.instances
        return any(isinstance(part, ast.Name) and part.id in known for part in walk(node))

    def makes(self, node: "Any") -> bool:
        """Say whether this is an object of a class of the code, made or named."""
        if isinstance(node, ast.Name):
            return node.id in self.instances or node.id in self.classes
        return is_call_of(node, self.classes) and self.are_inputs(node)

    def is_result(self, node: "Any") -> bool:
        """Say whether the value of an expression is what the code gave, or says as much."""
        if isinstance(node, ast.Name):
            return node.id in self.given | self.results | self.instances
        if isinstance(node, ast.Attribute):
            return self.makes(node.value) or self.is_result(node.value)
        if isinstance(node, ast.Subscript):
            return is_literal(node.slice) and self.is_result(node.value)
        if not isinstance(node, ast.Call):
            return False
        if is_call_of(node, self.given):
            return self.are_inputs(node)
        if isinstance(node.func, ast.Attribute):
            if self.makes(node.func.value):
                return self.are_inputs(node)
            if node.func.attr == "join" and is_literal(node.func.value):
                return len(node.args) == 1 and self.is_result(node.args[0])
            return not node.args and not node.keywords and self.is_result(node.func.value)
        name = str(getattr(node.func, "value", ""))
        return (
            name.startswith(PREFIX)
            and name[len(PREFIX) : -2] in UNARY
            and self.is_result(node.args[0] if node.args else None)
            and all(map(is_literal, node.args[1:]))
            and (len(node.args) == 1 or name == f"{PREFIX}round__")
            and all(is_literal(keyword.value) for keyword in node.keywords)
        )

    def are_inputs(self, node: "Any") -> bool:
        """Say whether the arguments of a call are inputs alone, or what the code gave before."""
        return all(
            self.is_input(part) for part in (*node.args, *(word.value for word in node.keywords))
        )

    def is_input(self, node: "Any") -> bool:
        """Say whether an argument is computed without the code, or is what it gave as it is."""
        if isinstance(node, ast.Starred):
            return self.is_input(node.value)
        if isinstance(node, (ast.List, ast.Tuple)):
            return all(map(self.is_input, node.elts))
        return not self.asks(node) or self.is_result(node)


def is_call_of(node: "Any", names: set[str]) -> bool:
    """Say whether this is a plain call of one of the names."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def is_literal(node: "Any") -> bool:
    """Say whether `literal` can read it; slices of literals count."""
    if isinstance(node, ast.Slice):
        return all(part is None or is_literal(part) for part in (node.lower, node.upper, node.step))
    try:
        literal(node)
    except ValueError:
        return False
    return True
