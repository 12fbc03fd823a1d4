"""Find documented functions in Python source. The source is parsed, never run or imported.

Source: Wei et al., "SelfCodeAlign", arXiv:2410.24198, section 3.1 and its released code.
Differs from the paper:
- A function brings along what it uses of its own file: imports, constants, helpers. The paper
  guesses missing imports with a fixer.
- Of what Pyright finds, only code that uses a name which nothing in it defines is left out here;
  `filters.code_rules` checks the types, as in recipe `self_code_align`.
- `bug`, `todo` and `fixme` are looked for as the paper does, inside words too ("debug").
"""

from __future__ import annotations

import ast
import builtins
import re
import symtable
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

BANNED = frozenset(
    ("argparse", "os", "subprocess", "sys", "setuptools", "distutils", "matplotlib", "seaborn")
)
MARKS = ("todo", "fixme", "bug")
MAX_LINES = 150
"""Of the function and all that it brings along."""
OPENING = re.compile(r"(?m)^(def |@)")
BUILT_IN = frozenset(dir(builtins))
IMPORT = ast.Import | ast.ImportFrom
INNER = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class Function:
    """One top-level function; `why` names the first rule it breaks, or is None."""

    name: str
    line: int
    code: str
    why: str | None


def functions(source: str) -> Iterator[Function]:
    """Yield every top-level function of a module, in order; SyntaxError as `ast.parse`."""
    if not OPENING.search(source):  # parsing is most of the cost
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = _Module(source)
        for node in module.tree.body:
            if isinstance(node, ast.FunctionDef):
                why = _fault(node, module.lines)
                code, why = ("", why) if why else module.complete(node)
                yield Function(node.name, _first(node), code, why)


class _Module:
    """A parsed file, and what each of its top-level names stands for."""

    def __init__(self, source: str) -> None:
        self.lines = source.split("\n")
        self.tree = ast.parse(source)
        self.defined: dict[str, ast.stmt] = {}
        self.used: dict[ast.stmt, set[str]] = {}
        for node in self.tree.body:
            if isinstance(node, IMPORT):
                for alias in node.names:
                    name = alias.asname or alias.name.partition(".")[0]
                    self.defined[name] = _alone(node, alias)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.defined[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                self.defined |= {t.id: node for t in targets if isinstance(t, ast.Name)}

    def text(self, node: ast.stmt) -> str:
        """Return the source of a top-level statement."""
        if isinstance(node, IMPORT):
            return ast.unparse(node) + "\n"
        return "\n".join(self.lines[_first(node) - 1 : node.end_lineno]).rstrip() + "\n"

    def complete(self, node: ast.FunctionDef) -> tuple[str, str | None]:
        """Return a function after all that it uses, and the rule that this breaks."""
        needed: dict[str, ast.stmt] = {node.name: node}
        todo = [node.name]
        while todo:
            if sum(_length(part) for part in set(needed.values())) > MAX_LINES:
                return "", "too_long"
            for name in sorted(self._uses(needed[todo.pop()]) - needed.keys()):
                if name not in self.defined:
                    return "", "undefined_name"
                needed[name] = self.defined[name]
                todo.append(name)
        del needed[node.name]
        rest = sorted(set(needed.values()), key=lambda part: part.lineno)
        imports = sorted(self.text(part) for part in rest if isinstance(part, IMPORT))
        parts = [self.text(part) for part in rest if not isinstance(part, IMPORT)]
        blocks = ["".join(imports), *parts, self.text(node)]
        code = "\n\n".join(block for block in blocks if block)
        origins = {o for part in (node, *rest) for n in ast.walk(part) for o in _origins(n)}
        return code, _fault_of_all(code, origins)

    def _uses(self, node: ast.stmt) -> set[str]:
        """Return the names that a statement takes from outside itself."""
        if node not in self.used:
            code = "" if isinstance(node, IMPORT) else self.text(node)
            self.used[node] = _outer_names(code) - BUILT_IN
        return self.used[node]


def _fault(node: ast.FunctionDef, lines: list[str]) -> str | None:
    """Return the first rule that the function breaks by itself."""
    start = node.body[0]
    opening = lines[start.lineno - 1].encode()[start.col_offset :].decode("utf-8", "replace")
    if not ast.get_docstring(node) or not opening.lstrip("rRuU").startswith(('"""', "'''")):
        return "no_docstring"
    if not (node.args.posonlyargs or node.args.args or node.args.kwonlyargs):
        return "no_arguments"
    return None if _returns(node) else "no_return"


def _returns(node: ast.FunctionDef) -> bool:
    """Say whether the function itself, not one inside it, returns a value that is not None."""
    todo: list[ast.AST] = list(node.body)
    while todo:
        found = todo.pop()
        if isinstance(found, ast.Return) and found.value is not None:
            if not (isinstance(found.value, ast.Constant) and found.value.value is None):
                return True
        elif not isinstance(found, INNER):
            todo.extend(ast.iter_child_nodes(found))
    return False


def _fault_of_all(code: str, origins: set[str]) -> str | None:
    if "" in origins:
        return "relative_import"
    if origins & BANNED:
        return "banned_import"
    if any(mark in code.lower() for mark in MARKS):
        return "marked_unfinished"
    return "too_long" if code.count("\n") > MAX_LINES else None


def _first(node: ast.stmt) -> int:
    """Return the first line of a statement, its decorators counted."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _length(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - _first(node) + 1


def _alone(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> ast.stmt:
    """Return the import of one name only."""
    one: ast.stmt = ast.Import([alias])
    if isinstance(node, ast.ImportFrom):
        one = ast.ImportFrom(node.module, [alias], node.level)
    return ast.copy_location(one, node)


def _origins(node: ast.AST) -> set[str]:
    """Return the packages that an import takes from; a relative one is ""."""
    if isinstance(node, ast.ImportFrom):
        return {"" if node.level else (node.module or "").partition(".")[0]}
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    return set()


def _outer_names(code: str) -> set[str]:
    """Return the names that code uses and does not define."""
    top = symtable.symtable(code, "<seed>", "exec")
    own = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned()}
    found, todo = set(), [top]
    while todo:
        table = todo.pop()
        todo += table.get_children()
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or table is top):
                found.add(symbol.get_name())
    return found - own
