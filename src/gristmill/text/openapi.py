"""API descriptions (OpenAPI 3.0, 3.1, Swagger 2.0) as functions that a model can call.

One operation is one function. Arguments are the parameters of path, query and form and what the
body holds, side by side; a body that is no object, or has a name twice, is one argument `body`.
Headers and cookies are none: they carry secrets and formats, which are no task of a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypedDict
from urllib.parse import unquote

from gristmill.text.json_values import TYPES, is_a, problem
from gristmill.text.simulated_api import HOLE, Endpoint, shape

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
MAX_NAME = 64
"""Characters of a function's name; of a longer one the last stay, as in ToolBench."""
MAX_ABOUT = 256
"""Characters of a description."""
MAX_TOLD = 512
"""Characters of what is said of an API, as in ToolBench."""
MAX_DEPTH, MAX_NODES = 8, 2000
"""Of one schema with its references written out; what is deeper, or more, may be anything."""
LIMITS = {"minItems": 20, "maxItems": 10**6, "minLength": 200, "maxLength": 10**6}
"""Limits of lengths, and the most that is believed of each."""
MOST_NUMBER = 1e15
NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
NO_NAME = re.compile(r"[^a-z0-9]+")
BREAK = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Described(TypedDict):
    """What is told of a function."""

    name: str
    description: str
    parameters: dict[str, Any]


class Tool(TypedDict):
    """A function as chat templates take it."""

    type: Literal["function"]
    function: Described


class NotOpenApi(ValueError):
    """A document that describes no operation."""


def function(one: Endpoint) -> Tool:
    """Return an operation as a chat template takes it."""
    told = Described(name=one["name"], description=one["description"], parameters=one["parameters"])
    return {"type": "function", "function": told}


def function_name(api: str, tool: str) -> str:
    """Return `api_for_tool` in small letters, the last 64 characters of it."""
    name = f"{_plain_name(api)}_for_{_plain_name(tool)}"[-MAX_NAME:].lstrip("_")
    return name if name[0].isalpha() else f"get_{name}"[-MAX_NAME:].lstrip("_")


def endpoints(document: Any) -> list[Endpoint]:
    """Return the operations of a document, each under a name of its own.

    Raises:
        NotOpenApi: it has none.
    """
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        raise NotOpenApi("expected an object with `paths`, as OpenAPI and Swagger have it")
    reader = Reader(document)
    info = reader.mapping(document.get("info"))
    tool = str(info.get("title") or "api")
    found: dict[str, Endpoint] = {}
    for path, item in document["paths"].items():
        shared = reader.mapping(item)
        for method in METHODS:
            if isinstance(operation := shared.get(method), dict):
                made = reader.endpoint(str(path), method, shared, operation, tool)
                made["name"] = free(made["name"], found)
                found[made["name"]] = made
    if not found:
        raise NotOpenApi("its `paths` have no operation")
    return list(found.values())


class Reader:
    """A document, in which references point."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        """Begin with the whole of it."""
        self.root = root
        self.left = MAX_NODES

    def endpoint(
        self, path: str, method: str, shared: dict[str, Any], one: dict[str, Any], tool: str
    ) -> Endpoint:
        """Return one operation."""
        said = one.get("summary") or one.get("description") or f"{method.upper()} {path}"
        if (more := one.get("description")) and more != said:
            said = f"{said}: {more}"
        status, returns = self._returns(one)
        return Endpoint(
            name=function_name(str(one.get("operationId") or f"{method} {shape(path)}"), tool),
            tool=tool,
            method=method,
            path=path,
            description=cut(said),
            parameters=self._arguments(path, shared, one),
            returns=returns,
            status=status,
        )

    def _arguments(self, path: str, shared: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
        properties, required, body = dict[str, Any](), list[str](), dict[str, Any]()
        is_asked = False
        for told in self._parameters(shared, one):
            if told.get("in") == "body":
                body, is_asked = self.schema(told.get("schema")), told.get("required") is True
            elif told.get("in") in ("path", "query", "formData") and "name" in told:
                name = str(told["name"])
                properties[name] = self._parameter(told)
                if told.get("required") is True or told["in"] == "path":
                    required.append(name)
        for hole in HOLE.finditer(path):
            if (name := hole[1] or hole[2]) not in properties:
                properties[name] = {"type": "string"}
                required.append(name)
        asked = self.mapping(one.get("requestBody"))
        if asked:
            body, is_asked = self._content(asked), asked.get("required") is True
        inner = body.get("properties", {})
        if inner and not inner.keys() & properties.keys():
            properties |= inner
            required += [name for name in body.get("required", []) if is_asked and name in inner]
        elif body:
            properties["body"] = body
            required += ["body"] if is_asked else []
        return {
            "type": "object",
            "properties": properties,
            "required": list(dict.fromkeys(required)),
            "additionalProperties": False,
        }

    def _parameters(self, shared: dict[str, Any], one: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield what path and operation take; the operation's own wins."""
        lists = [*_listed(shared.get("parameters")), *_listed(one.get("parameters"))]
        found = [self.mapping(told) for told in lists]
        yield from {(str(told.get("in")), str(told.get("name"))): told for told in found}.values()

    def _parameter(self, told: dict[str, Any]) -> dict[str, Any]:
        made = self._content(told) or self.schema(told.get("schema", told))
        if about := told.get("description"):
            made["description"] = cut(about)
        return made

    def _content(self, holder: dict[str, Any]) -> dict[str, Any]:
        """Return the schema of a body: as JSON where it can be, else as what is named first."""
        kinds = self.mapping(holder.get("content"))
        kind = "application/json" if "application/json" in kinds else next(iter(kinds), "")
        return self.schema(self.mapping(kinds.get(kind)).get("schema")) if kinds else {}

    def _returns(self, one: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
        """Return status and schema of the first success."""
        answers = {str(code): told for code, told in self.mapping(one.get("responses")).items()}
        status = next((code for code in answers if code.startswith("2")), "default")
        told = self.mapping(answers.get(status))
        made = self._content(told) or self.schema(told.get("schema"))
        return _number(status) or 200, made or None

    def mapping(self, value: Any) -> dict[str, Any]:
        """Return an object, behind references if it must be; an empty one for anything else."""
        for _ in range(MAX_DEPTH):
            if not isinstance(value, dict) or not isinstance(value.get("$ref"), str):
                break
            value = self._look(value["$ref"])
        return value if isinstance(value, dict) else {}

    def schema(self, value: Any) -> dict[str, Any]:
        """Return a schema of its own, by the keywords that are known here."""
        self.left = MAX_NODES
        return self._schema(value, 0)

    def _schema(self, value: Any, depth: int) -> dict[str, Any]:
        self.left -= 1
        told = self.mapping(value)
        if depth > MAX_DEPTH or self.left < 0:
            return {}
        made: dict[str, Any] = {}
        for part in _listed(told.get("allOf")):
            _join(made, self._schema(part, depth + 1))
        own = _own(told)
        properties, items = told.get("properties"), told.get("items")
        if isinstance(properties, dict):
            own["type"] = own.get("type", "object")
            own["properties"] = {str(k): self._schema(v, depth + 1) for k, v in properties.items()}
        if isinstance(items, dict):
            own["type"] = own.get("type", "array")
            own["items"] = self._schema(items, depth + 1)
        if choices := _listed(told.get("anyOf") or told.get("oneOf")):
            own["anyOf"] = [self._schema(one, depth + 1) for one in choices]
        _join(made, own)
        return made

    def _look(self, pointer: str) -> Any:
        """Return what a reference inside the document points to; nothing for any other."""
        value: Any = self.root if pointer.startswith("#") else None
        for part in pointer.removeprefix("#").split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            value = value.get(key) if isinstance(value, dict) else None
        return value


def _own(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of a schema that stand in it itself, those that mean something."""
    made: dict[str, Any] = {}
    if kinds := _kinds(told):
        made["type"] = kinds[0] if len(kinds) == 1 else kinds
    for name in ("description", "format"):
        if isinstance(told.get(name), str):
            made[name] = cut(told[name])
    enum = [told["const"]] if "const" in told else told.get("enum")
    if isinstance(enum, list) and enum:
        made["enum"] = enum
    made |= _limits(told)
    required = told.get("required")
    if isinstance(required, list):
        made["required"] = [str(name) for name in required]
    if told.get("additionalProperties") is False:
        made["additionalProperties"] = False
    for name in ("default", "example"):
        if name in told and problem(made, told[name]) is None:
            made[name] = told[name]
    return made


def _kinds(told: Mapping[str, Any]) -> list[str]:
    """Return the types of a value; a file is a text."""
    given = told.get("type")
    named = given if isinstance(given, list) else [given]
    kinds = ["string" if kind == "file" else kind for kind in named if isinstance(kind, str)]
    kinds = [kind for kind in kinds if kind in TYPES]
    is_nullable = told.get("nullable") is True and kinds and "null" not in kinds
    return [*kinds, "null"] if is_nullable else kinds


def _limits(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the limits of a value, all of them as JSON Schema has them since draft 6."""
    made: dict[str, Any] = {}
    for name, most in LIMITS.items():
        if is_a("integer", told.get(name)) and 0 <= told[name] <= most:
            made[name] = int(told[name])
    for name in NUMBERS:
        if is_a("number", told.get(name)) and abs(told[name]) <= MOST_NUMBER:
            made[name] = told[name]
    for name, of in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if told.get(name) is True and of in made:
            made[name] = made.pop(of)
    return made


def _join(made: dict[str, Any], own: dict[str, Any]) -> None:
    """Add a part of a schema to those before it."""
    properties = {**made.get("properties", {}), **own.get("properties", {})}
    required = [*made.get("required", []), *own.get("required", [])]
    made |= own
    if properties:
        made["properties"] = properties
    if required:
        made["required"] = list(dict.fromkeys(required))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def free(name: str, taken: Mapping[str, Any]) -> str:
    """Return a name that nothing has yet."""
    tries = (f"{name[: MAX_NAME - 4]}_{i}" for i in range(2, len(taken) + 3))
    return name if name not in taken else next(one for one in tries if one not in taken)


def _plain_name(text: str) -> str:
    return NO_NAME.sub("_", BREAK.sub("_", text).lower()).strip("_") or "api"


def cut(text: Any, most: int = MAX_ABOUT) -> str:
    """Return a description in one line."""
    return " ".join(str(text).split())[:most]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
