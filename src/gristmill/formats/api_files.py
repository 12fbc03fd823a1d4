"""Seeds from API descriptions: OpenAPI, Swagger, listings of MCP servers, ToolBench's records.

Source: Qin et al., "ToolLLM: Facilitating Large Language Models to Master 16000+ Real-world APIs",
arXiv:2307.16789, section 2.1, where a tool is an API with its operations, in a category.
Differs from the paper: nothing is called, so nothing is left out for answering badly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import Any

from gristmill.errors import RecipeError
from gristmill.formats.files import contents
from gristmill.formats.parts import Part, loads, suffix_of
from gristmill.storage.rows import Row
from gristmill.text.openapi import MAX_TOLD, NotOpenApi, cut, endpoints
from gristmill.text.plain_yaml import parse
from gristmill.text.plurals import counted
from gristmill.text.simulated_api import Api, Endpoint
from gristmill.text.tool_listings import listed
from gristmill.text.tool_records import recorded

ENDINGS = (".json", ".yaml", ".yml")
MAX_YAML = 1_000_000
"""Characters: ten seconds of PyYAML."""


def apis_of(paths: Sequence[str]) -> tuple[list[Part], str, list[str]]:
    """Return a row for each API of the files, a digest of their bytes, and notes.

    A row has `tool`, `about`, `category` (by APIs.guru, else the folder), `license` and `api`: what
    `text.simulated_api` answers by, as JSON.
    """
    parts, notes, hashed = list[Part](), list[str](), blake2b(digest_size=16)
    for path in paths:
        for name, data in contents(path, [ENDINGS], notes):
            hashed.update(f"{name} {len(data)} ".encode() + data)
            parts.append(part := Part(name))
            try:
                for i, row in enumerate(_rows(name, _document(name, data)), 1):
                    part.add(i, row)
            except (NotOpenApi, RecipeError, ValueError, RecursionError) as error:
                part.wrong(0, f"no API: {error}", "")
    n_endpoints = sum(row["endpoints"] for part in parts for row in part.rows)
    n_files = sum(bool(part.rows) for part in parts)
    files, operations = counted(len(parts), "file"), counted(n_endpoints, "operation")
    notes.append(f"APIs in {n_files} of {files}: {operations}")
    if wrong := [part.malformed[0] for part in parts if part.malformed]:
        notes.append(f"{len(wrong)} could not be read: {wrong[0].file}: {wrong[0].reason}")
    return parts, hashed.hexdigest(), notes


def _document(name: str, data: bytes) -> Any:
    text = data.decode("utf-8-sig")
    if suffix_of(name) == ".json":
        return loads(text)
    return parse(text, name, MAX_YAML, "description of an API")


def _rows(name: str, document: Any) -> list[Row]:
    """Return the APIs of a document: one, or the tools of ToolBench's records."""
    if found := recorded(document):
        return [_row(name, some, kind, {}) for (_, kind), some in found.items()]
    is_listing = isinstance(document, dict) and "tools" in document and "paths" not in document
    some = listed(document) if is_listing else endpoints(document)
    info = document.get("info") if isinstance(document.get("info"), dict) else {}
    given = info.get("x-apisguru-categories")
    category = given[0] if isinstance(given, list) and given else PurePosixPath(name).parent.name
    return [_row(name, some, str(category), info)]


def _row(name: str, found: list[Endpoint], category: str, info: Mapping[str, Any]) -> Row:
    licence, about = info.get("license"), cut(info.get("description") or "", MAX_TOLD)
    for one in found if about else ():
        one["about"] = about
    return {
        "tool": found[0]["tool"],
        "about": about or found[0].get("about", ""),
        "category": category,
        "endpoints": len(found),
        "api": json.dumps(Api(world=0, endpoints=found), ensure_ascii=False, default=str),
        "source": name,
        "license": licence.get("name") if isinstance(licence, dict) else None,
    }
