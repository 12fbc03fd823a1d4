"""Croissant metadata beside the card: what files, columns and terms a dataset has, for machines.

Source: MLCommons, "Croissant Format Specification", version 1.0. The checksums in it also tell
whether a file was edited since.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

import pyarrow as pa

from gristmill.errors import InputError
from gristmill.publishing import licences
from gristmill.publishing.escape import line
from gristmill.publishing.files import RunFiles
from gristmill.storage.shards import write_text
from gristmill.text.plurals import counted

FILE = "croissant.json"
SPEC = "http://mlcommons.org/croissant/1.0"
WORDS = (
    "citeAs column extract field fileProperty fileObject fileSet format includes isLiveDataset "
    "jsonPath key md5 parentField path recordSet references regex repeated replace separator "
    "source subField transform"
)
"""Names of the vocabulary that stand without their prefix."""
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{word: f"cr:{word}" for word in WORDS.split()},
}
FORMATS = {
    ".parquet": "application/x-parquet",
    ".jsonl": "application/jsonlines",
    ".csv": "text/csv",
}


def write(run: RunFiles, url: str | None = None) -> Path:
    """Write `croissant.json` into a run's dataset folder; `url` is where it is published, today.

    Before that it has the day of the run and a name made of its fingerprint.
    """
    path = run.path / "dataset" / FILE
    write_text(path, json.dumps(metadata(run, url), indent=1, ensure_ascii=False) + "\n")
    return path


def metadata(run: RunFiles, url: str | None = None) -> dict[str, Any]:
    """Return the JSON-LD."""
    ended = datetime.fromtimestamp((run.path / "ledger.json").stat().st_mtime, UTC)
    owner = url.rstrip("/").split("/")[-2] if url else "not named before it is published"
    name = str(run.note.get("fingerprint", ""))[:12]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": SPEC,
        "name": line(run.name, 100),
        "description": f"{counted(len(run.kept))} for instruction tuning, built by gristmill; "
        "README.md tells how, from what, and what was left out.",
        "license": _licence(run),
        "url": url or f"urn:gristmill:{run.name}-{name}",
        "creator": {"@type": "sc:Organization", "name": owner},
        "datePublished": f"{datetime.now(UTC) if url else ended:%Y-%m-%d}",
        "keywords": ["gristmill", "instruction tuning"],
        "inLanguage": run.langs,
        "isLiveDataset": False,
        "distribution": list(_files(run)),
        "recordSet": [_records(file, run.data_schema) for file in run.data],
    }


def edited(folder: Path, data: Iterable[Path] = ()) -> list[str]:
    """Return the files of a dataset folder that are not as they were written, gone or new.

    New are those of `data`, all that a run has. Nothing where the folder has no checksums: it was
    written without a card.
    """
    try:
        sums = checksums((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, AttributeError):
        return [FILE]
    is_there = {name: (folder / name).is_file() for name in sums}
    new = [name for file in data if (name := file.relative_to(folder).as_posix()) not in sums]
    return [*(n for n in sums if not is_there[n] or _sum(folder / n) != sums[n]), *new]


def checksums(text: str) -> dict[str, str]:
    """Return the SHA-256 of the files of a description; not of sets of files, nor of addresses.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: It is no description.
    """
    told = json.loads(text)["distribution"]
    places = {file.get("contentUrl", "://"): file.get("sha256") for file in told}
    return {place: value for place, value in places.items() if value and "://" not in place}


def opened(path: Path) -> RunFiles:
    """Open a finished run whose dataset is as it was written.

    Raises:
        InputError: There is no finished run, or its dataset was edited.
    """
    run = RunFiles.open(path)
    if not run.is_stopped:  # what may lie there is from an earlier end
        check(path / "dataset", run.data)
    return run


def check(folder: Path, data: Iterable[Path] = ()) -> None:
    """Refuse a dataset folder that was edited.

    Raises:
        InputError: With the files.
    """
    if found := edited(folder, data):
        raise InputError(
            f"{folder}: {', '.join(found[:5])} changed since the dataset was written, by the "
            f"checksums in {FILE}; run its recipe again, or remove {FILE} if the edits are meant"
        )


def _licence(run: RunFiles) -> Any:
    """Return the page of a licence in the SPDX list; of others the name."""
    told = licences.follows(licences.of_run(run))
    name = told.get("license_name") or told["license"]
    known = licences.NAMED[name][0] if name in licences.NAMED else None
    known = known or (name.upper() if licences.COMMONS.fullmatch(name) else None)
    if known:
        return f"https://spdx.org/licenses/{known}.html"
    return {"@type": "sc:CreativeWork", "name": name}


def _sum(path: Path) -> str:
    with path.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()


def _files(run: RunFiles) -> Iterator[dict[str, Any]]:
    folder = run.path / "dataset"
    for path in sorted([*folder.glob("data/*"), *folder.glob("exports/*/*")]):
        if path.suffix in FORMATS and path.is_file() and not run.is_cut_short(path):
            name = path.relative_to(folder).as_posix()
            yield {
                "@type": "cr:FileObject",
                "@id": name,
                "name": name,
                "contentUrl": name,
                "contentSize": f"{path.stat().st_size} B",
                "encodingFormat": FORMATS[path.suffix],
                "sha256": _sum(path),
            }


def _records(file: Path, schema: pa.Schema) -> dict[str, Any]:
    name = file.stem
    source = {"fileObject": {"@id": f"data/{file.name}"}}
    fields = [_field(name, at, {**source, "extract": {"column": at.name}}, "$") for at in schema]
    key = {"key": {"@id": f"{name}/id"}} if "id" in schema.names else {}
    return {"@type": "cr:RecordSet", "@id": name, "name": name, **key, "field": fields}


def _field(above: str, at: pa.Field, source: dict[str, Any], path: str) -> dict[str, Any]:
    """Return a column; of structs, and of lists of them, with its parts below it."""
    own = f"{above}/{line(at.name, 200)}"
    told: dict[str, Any] = {"@type": "cr:Field", "@id": own, "name": own, "source": source}
    kind = at.type
    if pa.types.is_list(kind):
        told["repeated"], kind, path = True, kind.value_type, f"{path}[*]"
    if pa.types.is_struct(kind):
        inner = (kind.field(i) for i in range(kind.num_fields))
        told["subField"] = [
            _field(own, one, {**source, "transform": {"jsonPath": f"{path}.{one.name}"}},
                   f"{path}.{one.name}")
            for one in inner
        ]  # fmt: skip
        return told
    return {**told, "dataType": _type(kind)}


def _type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"
