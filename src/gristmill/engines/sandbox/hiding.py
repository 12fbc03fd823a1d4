"""Inside the sandbox, in the parser: nothing that tests expect is in sight while the code runs.

Frames show constants and variables of whoever calls. So what a literal means that something is
compared with comes from the harness when it is wanted, and so does what a variable means that
takes part in a comparison: where the tests give it a value the harness keeps that, and leaves
None. `all` and `any` over a loop become that loop, for the sake of its variables. Functions of the
tests are kept, too: the code could put others into their place.
"""

import _ast as ast
from marshal import dumps

from gristmill.engines.sandbox.trees import (
    FUNCTIONS,
    NAMED,
    PREFIX,
    at,
    call,
    literal,
    replace,
    walk,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gristmill.engines.sandbox.trees import Nodes

LOOPS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
SCOPES = {*FUNCTIONS, ast.Lambda, ast.ClassDef, *LOOPS}
UNPACKED = {ast.Tuple, ast.List, ast.Starred, ast.withitem}
BINDING = {ast.Assign, ast.AnnAssign, ast.For, ast.AsyncFor, ast.With, ast.AsyncWith}
REFLECTING = {"locals", "globals", "vars", "eval", "exec", "dir", "super"}
"""Who uses them may look a variable up by its name."""
FLAG = f"{PREFIX}found__"


class Literals:
    """What literals mean, each as bytes."""

    def __init__(self) -> None:
        self.all: list[bytes] = []

    def hide(self, node: "Any") -> "Any":
        """Return a call that gives what a literal means, or the node itself."""
        try:
            value = literal(node)
        except ValueError:
            return node
        self.all.append(dumps(value))
        return call(f"{PREFIX}wanted__", node, len(self.all) - 1)


class Variables:
    """Variables of tests that the harness keeps."""

    def __init__(self, nodes: "Nodes", shared: "Any") -> None:
        """Find them; the code with its compiled form `shared` may know those of the module."""
        self.lines: dict[int, list[Any]] = {}
        """What stands in the place of a statement that gives one a value."""
        self.opened: dict[int, str] = {}
        """What of the harness gives one where it is read, by the ids of the names."""
        said = {node.id.removeprefix(PREFIX).removesuffix("__") for node in nodes.loaded()}
        self.nodes, self.top = nodes, nodes.all[0]
        if not REFLECTING.isdisjoint(said):
            return
        self.parents = {id(node): parent for node, parent in nodes.pairs()}
        known = names_in(shared)
        self.keep_functions(known)
        compared = compared_names(nodes)
        if not compared:
            return
        sites = self.sites(compared)
        if any(scope == id(self.top) for scope, _ in sites):
            for name in known:
                sites.pop((id(self.top), name), None)
        loads = []
        for node in nodes.loaded():
            if node.id in compared:
                own = self.scope(node)
                meant = self.meant(own, node.id)
                loads.append((node, (id(own), node.id)))
                if meant is not own:  # a function inside reads it: it may do so at any time
                    sites.pop((id(meant), node.id), None)
        self.opened |= {id(node): "unseal" for node, key in loads if key in sites}
        for (_, name), found in sites.items():
            for site in found:
                self.keep(name, site)

    def sites(self, compared: set[str]) -> "dict[tuple[int, str], list[Any]]":
        """Return by scope and name where a variable gets its values; none where one is unusual."""
        self.bound: dict[tuple[int, str], list[Any]] = {}
        unusual = set()
        for node in (*self.nodes.of(ast.Name), *self.nodes.of(ast.arg)):
            name = node.arg if type(node) is ast.arg else node.id
            if name not in compared or (type(node) is ast.Name and type(node.ctx) is ast.Load):
                continue
            scope, site = self.scope(node), self.parents[id(node)]
            while type(site) in UNPACKED:
                site = self.parents[id(site)]
            if type(node) is ast.arg:
                site = self.parents[id(site)]
            self.bound.setdefault((id(scope), name), []).append(site)
            if (
                (type(site) not in BINDING and type(site) not in FUNCTIONS)
                or (type(site) is ast.AnnAssign and site.value is None)
                or type(scope) is ast.ClassDef
            ):
                unusual.add((id(scope), name))
        return {key: found for key, found in self.bound.items() if key not in unusual}

    def scope(self, node: "Any") -> "Any":
        """Return the innermost function, class or loop of an expression around a node."""
        inner, node = node, self.parents[id(node)]
        while type(node) not in SCOPES and node is not self.top:
            if type(node) is ast.comprehension and node.iter is inner:
                loop = self.parents[id(node)]
                # What the first loop goes over is evaluated around it.
                node = loop if loop.generators[0] is node else node
            inner, node = node, self.parents[id(node)]
        return node

    def meant(self, scope: "Any", name: str) -> "Any":
        """Return the scope whose variable a name is."""
        while (id(scope), name) not in self.bound and scope is not self.top:
            scope = self.scope(scope)
        return scope

    def keep_functions(self, known: set[str]) -> None:
        """Let the harness keep the module's functions; the code may want them, too."""
        nodes = self.nodes
        own = [node for node in self.top.body if type(node) in FUNCTIONS]
        names = {node.name for node in own} - nodes.bound({id(node) for node in own})
        names -= {n for node in nodes.of(ast.Global, ast.Nonlocal) for n in node.names}
        self.opened |= {id(node): "defined" for node in nodes.loaded() if node.id in names}
        for node in own:
            if node.name in names:
                is_shared = node.name in known and not node.name.startswith("test")
                self.lines[id(node)] = [node, sealed(node.name, node, "define", is_shared)]

    def keep(self, name: str, site: "Any") -> None:
        """Give a value to the harness as soon as there is one."""
        line = sealed(name, site)
        if type(site) in (ast.Assign, ast.AnnAssign):
            self.lines.setdefault(id(site), [site]).append(line)
        else:
            self.lines.setdefault(id(site.body[0]), [site.body[0]]).insert(0, line)


def sealed(name: str, near: "Any", how: str = "seal", *more: bool) -> "Any":
    """Return the statement that gives the harness what a name means, and leaves None or that."""
    value = call(f"{PREFIX}{how}__", near, name, at(ast.Name(name, ast.Load()), near), *more)
    return at(ast.Assign([at(ast.Name(name, ast.Store()), near)], value), near)


def compared_names(nodes: "Nodes") -> set[str]:
    """Return the names of variables that are compared, or over which a loop goes."""
    asked = [side for node in nodes.of(ast.Compare) for side in (node.left, *node.comparators)]
    asked += [node.right for node in nodes.of(ast.BinOp) if type(node.op) is ast.Sub]
    asked += [node.iter for node in nodes.of(ast.For)]
    names = {part.id for side in asked for part in walk(side) if type(part) is ast.Name}
    names -= {node.func.id for node in nodes.of(ast.Call) if type(node.func) is ast.Name}
    names -= {node.name for node in nodes.of(*NAMED)}
    for node in nodes.of(ast.Global, ast.Nonlocal):
        names.difference_update(node.names)
    for node in nodes.of(ast.Import, ast.ImportFrom):
        names -= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    names -= {node.rest for node in nodes.of(ast.MatchMapping)}
    return names - {"self", "cls", FLAG}


def names_in(code: "Any") -> set[str]:
    """Return the names of everything global or of an attribute in compiled code."""
    inner = [part for part in code.co_consts if type(part) is type(code)]
    return {*code.co_names}.union(*map(names_in, inner))


def unroll(nodes: "Nodes") -> bool:
    """Make loops of asserts of `all` and `any`; say whether there were any."""
    found = False
    for node, parent in nodes.pairs():
        if type(node) is ast.Assert and (lines := as_loop(node)):
            found = True
            replace(parent, {id(node): lines})
    return found


def as_loop(node: "Any") -> "list[Any]":
    """Return the statements for an assert about every turn of a loop, or nothing."""
    test = node.test
    name = getattr(getattr(test, "func", None), "value", None)
    if name not in (f"{PREFIX}all__", f"{PREFIX}any__") or len(test.args) != 1:
        return []
    wanted, loop = name == f"{PREFIX}all__", test.args[0]
    if type(loop) not in (ast.ListComp, ast.GeneratorExp) or len(loop.generators) > 1:
        return []
    turn = loop.generators[0]
    parts = [part for root in (turn.target, loop.elt, *turn.ifs) for part in walk(root)]
    if turn.is_async or any(type(part) in SCOPES for part in parts):
        return []
    own = {part.id for part in walk(turn.target) if type(part) is ast.Name}
    for part in parts:  # its variables are its own
        if type(part) is ast.Name and part.id in own:
            part.id = f"{PREFIX}{part.id}"
    flag = at(ast.Name(FLAG, ast.Store()), node)
    stop = [] if type(loop) is ast.ListComp else [at(ast.Break(), node)]
    told = [at(ast.Assign([flag], at(ast.Constant(not wanted), node)), node), *stop]
    shown = at(ast.UnaryOp(ast.Not(), loop.elt), node) if wanted else loop.elt
    body = at(ast.If(shown, told, []), node)
    for condition in reversed(turn.ifs):
        body = at(ast.If(condition, [body], []), node)
    node.test = at(ast.Name(FLAG, ast.Load()), node)
    first = at(ast.Assign([flag], at(ast.Constant(wanted), node)), node)
    return [first, at(ast.For(turn.target, turn.iter, [body], []), node), node]
