"""The card for machines: what version 1.0 of the specification asks for, and the checksums."""

import json
import re
from hashlib import sha256
from typing import Any

import pytest

from gristmill import run
from gristmill.errors import InputError
from gristmill.publishing import card, croissant
from gristmill.publishing.versions import Version

REQUIRED = {
    "@context", "@type", "conformsTo", "description", "license", "name", "url", "creator",
    "datePublished", "distribution",
}  # fmt: skip
"""Of a dataset, by the specification's tables of required and of modified properties."""
FILE = {"@type", "@id", "name", "contentUrl", "encodingFormat", "sha256"}
TYPES = {"sc:Text", "sc:Integer", "sc:Float", "sc:Boolean"}


def fields(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for at in found for one in (at, *fields(at.get("subField", [])))]


def test_everything_that_the_specification_requires_is_there(finished) -> None:
    path = finished()
    told = json.loads((card.write(path).parent / "croissant.json").read_text())
    assert set(told) >= REQUIRED
    assert (told["@type"], told["conformsTo"]) == (
        "sc:Dataset", "http://mlcommons.org/croissant/1.0",
    )  # fmt: skip
    assert told["@context"]["conformsTo"] == "dct:conformsTo"
    assert told["@context"]["recordSet"] == "cr:recordSet"
    assert told["@context"]["dataType"] == {"@id": "cr:dataType", "@type": "@vocab"}
    assert told["creator"]["@type"] == "sc:Organization"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", told["datePublished"])
    assert told["license"] == {"@type": "sc:CreativeWork", "name": "psf-2.0"}
    ids = [at["@id"] for at in told["distribution"]]
    for at in told["distribution"]:
        assert set(at) >= FILE
        data = (path / "dataset" / at["contentUrl"]).read_bytes()
        assert (at["sha256"], at["contentSize"]) == (sha256(data).hexdigest(), f"{len(data)} B")
    assert ids == ["data/train-00000-of-00001.parquet"]
    (records,) = told["recordSet"]
    every = fields(records["field"])
    names = [at["@id"] for at in every]
    assert len(names) == len(set(names))
    assert records["key"]["@id"] in names
    for at in every:
        assert at["source"]["fileObject"]["@id"] in ids
        assert ("dataType" in at) != ("subField" in at)
        assert at.get("dataType", "sc:Text") in TYPES


def test_nested_columns_are_described_to_their_values(finished) -> None:
    told = json.loads((card.write(finished()).parent / "croissant.json").read_text())
    by_name = {at["@id"].partition("/")[2]: at for at in fields(told["recordSet"][0]["field"])}
    assert by_name["scores/ifd/ppl"]["dataType"] == "sc:Float"
    assert by_name["scores/ifd/ppl"]["source"]["extract"] == {"column": "scores"}
    assert by_name["scores/ifd/ppl"]["source"]["transform"] == {"jsonPath": "$.ifd.ppl"}
    assert by_name["scores/embedding/vector"]["repeated"] is True
    assert by_name["messages/role"]["source"]["transform"] == {"jsonPath": "$[*].role"}
    assert by_name["verdicts/unit_tests/passed"]["dataType"] == "sc:Boolean"


def test_what_somebody_else_describes_was_not_edited(tmp_path) -> None:
    parts = [{"@type": "cr:FileSet", "includes": "*.parquet"}]
    parts += [{"@type": "cr:FileObject", "contentUrl": "https://x.org/a.zip", "sha256": "0" * 64}]
    (tmp_path / "croissant.json").write_text(json.dumps({"distribution": parts}))
    assert croissant.edited(tmp_path) == []


def test_a_dataset_that_was_edited_is_told_by_its_checksums(
    recipe, engine, seeds, tmp_path
) -> None:
    def again(*sets: str):
        wanted = recipe("export={formats: [messages], report: false}", *sets)
        return run(wanted, seeds(), {"generator": engine()}, workspace=tmp_path)

    result = again()
    assert croissant.edited(result.folder) == []
    file = result.folder / "exports" / "messages" / "train.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[1:]))
    assert croissant.edited(result.folder) == ["exports/messages/train.jsonl"]
    for look in (Version.of_run, card.write):
        with pytest.raises(InputError, match=r"messages/train.jsonl changed .*; run its recipe ag"):
            look(result.path)
    with pytest.raises(InputError, match="changed since the dataset was written"):
        Version.of_folder(result.folder)
    again()
    assert croissant.edited(result.folder) == []
    file.unlink()
    assert croissant.edited(result.folder) == ["exports/messages/train.jsonl"]
    again("export.card=false")
    assert not (result.folder / "croissant.json").exists()
    assert croissant.edited(result.folder) == []
    (result.folder / "croissant.json").write_text("{")
    assert croissant.edited(result.folder) == ["croissant.json"]
