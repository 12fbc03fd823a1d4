"""YAML as data and nothing else: no objects, no bombs, no key that silently wins over another.

Recipes come from other people. The limits are far above any recipe that a person writes.
"""

from __future__ import annotations

from typing import Any

import yaml

from gristmill.errors import RecipeError

MAX_CHARS = 100_000
"""PyYAML in Python reads about 100 kB/s here, so that a refused text costs 2 s at most."""
MAX_NODES = 100_000
"""Keys, values and list positions after every alias is written out."""
MAX_DEPTH = 100
"""Lists and mappings inside each other. Python's own limit is another where a package raised it."""
MAX_SHOWN = 300
PLAIN = "tag:yaml.org,2002:"


def parse(text: str, where: str, most: int = MAX_CHARS, kind: str = "recipe") -> Any:
    """Return the plain data that a text describes; errors name it, and what it should have been.

    Raises:
        RecipeError: it is longer than `most` characters, no YAML, or more than data.
    """
    if len(text) > most:
        hint = "a recipe is one screen, put data into files" if kind == "recipe" else "use JSON"
        raise RecipeError(f"{where}: {len(text):,} characters, at most {most:,} are read; {hint}")
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _expanded(node, where, {})
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError:
        raise RecipeError(f"{where}: nested too deeply to be a {kind}; flatten it") from None
    except (yaml.YAMLError, ValueError) as error:
        raise RecipeError(f"{where} is not plain YAML: {_explain(error)}") from error


class _Loader(yaml.SafeLoader):
    """The safe loader, which also refuses what is too deep and a key that stands twice."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise RecursionError
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key '{key.value}' stands twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _whole(loader: _Loader, node: yaml.ScalarNode) -> int:
    """Refuse a whole number that no hash and no Arrow column could hold."""
    value = loader.construct_yaml_int(node)
    if not -(2**63) <= value < 2**63:
        raise yaml.constructor.ConstructorError(
            None,
            None,
            f"{node.value} has more than 64 bits; write a smaller whole number",
            node.start_mark,
        )
    return int(value)


_Loader.add_constructor(f"{PLAIN}int", _whole)


def _expanded(node: yaml.Node, where: str, sizes: dict[int, int]) -> int:
    """Count the nodes below a node with every alias written out; each node is visited once."""
    if id(node) in sizes:
        if not sizes[id(node)]:
            raise RecipeError(f"{where}: an alias contains itself; write the value out")
        return sizes[id(node)]
    sizes[id(node)] = 0
    below: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        below = node.value
    elif isinstance(node, yaml.MappingNode):
        below = [part for pair in node.value for part in pair]
    size = 1 + sum(_expanded(part, where, sizes) for part in below)
    if size > MAX_NODES:
        raise RecipeError(
            f"{where}: its aliases expand to more than {MAX_NODES:,} values (a YAML bomb); "
            "write the values out"
        )
    sizes[id(node)] = size
    return size


def _explain(error: Exception) -> str:
    """Say in one line what is wrong, and in which line."""
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if "could not determine a constructor for the tag" in problem:
        problem = f"the tag {problem.split(chr(39))[1].replace(PLAIN, '!!')} asks for an object, "
        problem += "and a recipe is data; remove the tag"
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return where + problem[:MAX_SHOWN]
