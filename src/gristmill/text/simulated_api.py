"""An API that is not there: it checks what it is told, remembers it, and always answers the same.

Source: our own. It stands in the place of the live services of Qin et al., "ToolLLM: Facilitating
Large Language Models to Master 16000+ Real-world APIs", arXiv:2307.16789, which change or go away.

A call is data: a name and arguments. The stages that search for calls make them here, outside the
sandbox, because nothing of a model is run then. Programs that a model wrote, and that call
functions, run in the sandbox: this file goes there as text, with the one that it imports.

What it keeps to, from the description of the API alone:
- A path that ends in a placeholder is an item of the collection before it. A collection that a GET
  lists has three items at first, one that is only posted to has none; POST adds an item, PUT and
  PATCH change it, DELETE takes it away, and the list and its item say so afterwards.
- Of items that are nowhere listed or made every one exists.
- Everything else is made of the schema of the answer: equal arguments give equal answers. Without a
  schema the answer is what was said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NotRequired, TypedDict
from urllib.parse import quote

from gristmill.text.json_values import Json, Schema, is_a, made, problem

OK, NO_FUNCTION, BAD_ARGUMENTS, NOT_FOUND = 0, 1, 2, 6
"""Codes of ToolBench's server."""
HOLE = re.compile(r"\{([^{}/]+)\}|(?<=/):(\w+)")
GLUED = re.compile(r"(?<=[^/])\{[^{}/]*\}")
"""A placeholder behind something else, such as an ending: it names no item."""
FIRST_ITEMS = 3
MOST = frozenset({"limit", "count", "per_page", "page_size", "pagesize", "max_results"})
"""Parameters that cut a list."""


class Endpoint(TypedDict):
    """One operation of an API."""

    name: str
    """What the function is called."""
    tool: str
    """What the API is called."""
    about: NotRequired[str]
    """What is said of the API."""
    method: str
    path: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of an object: the arguments."""
    returns: dict[str, Any] | None
    """JSON schema of the answer; None where the description has none."""
    status: int
    """HTTP status of a success."""


class Api(TypedDict):
    """Everything that decides what calls get."""

    world: int
    """Another number is other data behind the same functions."""
    endpoints: list[Endpoint]


class Call(TypedDict):
    """One call."""

    name: str
    arguments: dict[str, Any]


class Result(TypedDict):
    """What came of it."""

    code: int
    status: int
    """As in HTTP."""
    body: Any


def replay(api: Api, calls: Iterable[Call]) -> list[Result]:
    """Return what calls get, one after the other, in a world where nothing has happened yet."""
    world = World(api)
    return [world.call(one["name"], one["arguments"]) for one in calls]


class World:
    """APIs with what has been said to them; two that have a path in common share nothing."""

    def __init__(self, api: Api) -> None:
        """Begin where nothing has been said."""
        self.endpoints = {one["name"]: one for one in api["endpoints"]}
        tools = dict.fromkeys(one["tool"] for one in api["endpoints"])
        self.services = {
            tool: Service([one for one in api["endpoints"] if one["tool"] == tool], api["world"])
            for tool in tools
        }

    def call(self, name: str, arguments: Json) -> Result:
        """Return the answer; what the arguments say stays said."""
        if not (one := self.endpoints.get(name)):
            return _failed(NO_FUNCTION, 404, f"there is no function {name!r:.80}")
        if wrong := problem(one["parameters"], arguments):
            return _failed(BAD_ARGUMENTS, 400, wrong)
        return self.services[one["tool"]].call(one, arguments)


class Service:
    """One API with what has been said to it."""

    def __init__(self, endpoints: Sequence[Endpoint], seed: int) -> None:
        """Begin where nothing has been said."""
        self.seed = f"{seed} {endpoints[0]['tool']}"
        self.at = {(one["method"], shape(one["path"])): one for one in endpoints}
        self.items = dict[str, list[Any]]()
        """Ids by the path of their collection."""
        self.said = dict[str, dict[str, Any]]()
        """What was told of an item, by its path."""

    def call(self, one: Endpoint, arguments: dict[str, Any]) -> Result:
        """Return the answer to arguments that fit."""
        template = shape(one["path"])
        for hole in HOLE.finditer(template):
            at = template[: hole.end()]
            if is_item(at) and not self._exists(at, arguments):
                return _failed(NOT_FOUND, 404, f"{filled(at, arguments)} was not found")
        body = self._answer(one, arguments)
        return {"code": OK, "status": one["status"], "body": None if one["status"] == 204 else body}

    def _answer(self, one: Endpoint, arguments: dict[str, Any]) -> Json:
        template, method = shape(one["path"]), one["method"]
        path, collection = filled(template, arguments), template.rpartition("/")[0]
        told = {key: value for key, value in arguments.items() if key not in _holes(template)}
        if method in ("get", "post") and self._is_managed(template):
            answer = self._listed if method == "get" else self._created
            return answer(one, template, arguments, told)
        is_kept = is_item(template) and self._is_managed(collection)
        if method == "delete":
            self.said.pop(path, None)
            if is_kept:
                ids = self._ids(collection, arguments)
                ids[:] = [id_ for id_ in ids if _segment(id_) != path.rpartition("/")[2]]
        elif method in ("put", "patch"):
            self.said[path] = {**self.said.get(path, {}), **told}
        is_kept = is_kept or path in self.said or not told
        key = path if is_kept else f"{one['name']} {json.dumps(arguments, sort_keys=True)}"
        return self._body(one["returns"], key, {**arguments, **self.said.get(path, {})})

    def _created(
        self, one: Endpoint, template: str, arguments: dict[str, Any], told: dict[str, Any]
    ) -> Json:
        ids, path = self._ids(template, arguments), filled(template, arguments)
        name, schema = self._id_of(template)
        asked = told.get(name)
        is_free = asked is not None and asked not in ids and not problem(schema, asked)
        new = asked if is_free else self._new(ids, schema, path)
        if new not in ids:
            ids.append(new)
        at = f"{path}/{_segment(new)}"
        self.said[at] = {**told, name: new}
        return _named(self._body(one["returns"], at, {**arguments, name: new}), name, new)

    def _listed(
        self, one: Endpoint, template: str, arguments: dict[str, Any], told: dict[str, Any]
    ) -> Json:
        returns, path = one["returns"] or {"type": "array"}, filled(template, arguments)
        place = _list_in(returns)
        inner = returns["properties"][place] if place else returns
        found, (name, _) = [], self._id_of(template)
        for id_ in self._ids(template, arguments):
            at = f"{path}/{_segment(id_)}"
            given = {key: value for key, value in arguments.items() if key not in told}
            said = {**given, **self.said.get(at, {}), name: id_}
            body = _named(self._body(inner.get("items", {"type": "object"}), at, said), name, id_)
            if all(_fits(body, key, value) for key, value in told.items()):
                found.append(body)
        cuts = (value for key, value in told.items() if key.lower() in MOST)
        found = found[
            : min((int(cut) for cut in cuts if is_a("integer", cut) and cut >= 0), default=None)
        ]
        return {**made(returns, f"{self.seed} {path}"), place: found} if place else found

    def _exists(self, template: str, arguments: Mapping[str, Any]) -> bool:
        collection, _, _ = template.rpartition("/")
        if not self._is_managed(collection):
            return True
        last = filled(template, arguments).rpartition("/")[2]
        return last in map(_segment, self._ids(collection, arguments))

    def _is_managed(self, template: str) -> bool:
        """Say whether items are listed there, or made there and then looked at."""
        get, post = self.at.get(("get", template)), ("post", template) in self.at
        lists = get is not None and (get["returns"] is None or _list_in(get["returns"]) is not None)
        return (lists or post) and (self._item(template) is not None or (lists and post))

    def _item(self, template: str) -> Endpoint | None:
        """Return an operation on one item of a collection."""
        inside = ((at, one) for (_, at), one in self.at.items() if is_item(at))
        return next((one for at, one in inside if at.rpartition("/")[0] == template), None)

    def _id_of(self, template: str) -> tuple[str, Schema]:
        """Return what an item is told by: the name and the schema."""
        if not (one := self._item(template)):
            return "id", {"type": "integer"}
        name = _holes(shape(one["path"]))[-1]
        return name, one["parameters"]["properties"].get(name, {"type": "string"})

    def _ids(self, template: str, arguments: Mapping[str, Any]) -> list[Any]:
        if (path := filled(template, arguments)) not in self.items:
            ids, (_, schema) = list[Any](), self._id_of(template)
            for _ in range(FIRST_ITEMS if ("get", template) in self.at else 0):
                ids.append(self._new(ids, schema, path))
            self.items[path] = list(dict.fromkeys(ids))
        return self.items[path]

    def _new(self, ids: Sequence[Any], schema: Schema, path: str) -> Any:
        """Return an id that is free; one that is not where a closed set of them is used up."""
        schema = {key: value for key, value in schema.items() if key != "example"}
        tries = [made(schema, f"{self.seed} {path} {len(ids) + i}") for i in range(20)]
        return next((one for one in tries if one not in ids), tries[0])

    def _body(self, schema: Schema | None, key: str, said: Mapping[str, Any]) -> Json:
        """Return an answer that says again what was said, wherever its schema has room for it."""
        if schema is None:
            return dict(said)
        body = made(schema, f"{self.seed} {key}")
        if not isinstance(body, dict):
            return body
        inner = schema.get("properties", {})
        return {
            **body,
            **{k: v for k, v in said.items() if k in inner and not problem(inner[k], v)},
        }


def shape(path: str) -> str:
    """Return a path with its placeholders as `{name}`, and without those that name no item."""
    return GLUED.sub("", HOLE.sub(lambda hole: f"{{{hole[1] or hole[2]}}}", path)).rstrip("/")


def is_item(template: str) -> bool:
    """Say whether a path ends with a placeholder."""
    last = template.rpartition("/")[2]
    return last.startswith("{") and last.endswith("}")


def filled(template: str, arguments: Mapping[str, Any]) -> str:
    """Return a path with its arguments; what is not given stays a placeholder."""
    return HOLE.sub(lambda hole: _segment(arguments.get(hole[1] or hole[2], hole[0])), template)


def _segment(value: Any) -> str:
    return quote(str(value), safe="{}", errors="replace")


def _holes(template: str) -> list[str]:
    return [hole[1] or hole[2] for hole in HOLE.finditer(template)]


def _failed(code: int, status: int, why: str) -> Result:
    return {"code": code, "status": status, "body": {"error": why}}


def _named(body: Json, name: str, id_: Any) -> Json:
    """Return an item that tells its id, under the name that its schema has for it."""
    if not isinstance(body, dict):
        return body
    return {**body, ("id" if name not in body and "id" in body else name): id_}


def _list_in(schema: Schema) -> str | None:
    """Return where an answer holds its one list of objects: "" for the answer itself."""
    if _holds_objects(schema):
        return ""
    inner = schema.get("properties", {})
    places = [name for name, one in inner.items() if _holds_objects(one)]
    return places[0] if len(places) == 1 else None


def _holds_objects(schema: Schema) -> bool:
    items = schema.get("items", {}) if schema.get("type") == "array" else {}
    return items.get("type") == "object" or "properties" in items


def _fits(body: Json, key: str, value: Any) -> bool:
    """Say whether an item is what a parameter of its list asks for."""
    there = body.get(key) if isinstance(body, dict) and key.lower() not in MOST else None
    if not isinstance(there, str | int | float) or not isinstance(value, str | int | float):
        return True
    return str(there).casefold() == str(value).casefold()
