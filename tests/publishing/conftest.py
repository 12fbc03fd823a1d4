"""A finished run written by hand: seeds, children, verdicts, scores, a map, hostile text."""

import json
import math
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from gristmill.storage.ids import child_id, seed_ids
from gristmill.storage.ledger import Counts, add, lines
from gristmill.storage.rows import CONTENT, canonical, schema_of, to_table
from gristmill.storage.shards import Shard, write_parquet, write_text

HOSTILE = (
    "<script>document.title='pwned'</script></script></td><img src=x onerror=alert(1)>"
    " {{ 7 * 7 }} {% for %} \x1b[31mred\x1b]0;title\x07 \u202egnp.exe | [click](javascript:1) `x`"
)
LABELS = ["write", "unit_tests", "verdict", "near_duplicates", "ifd", "embedding", "target", "pick"]
USES = {
    "write": "generators.self_code_align",
    "unit_tests": "verifiers.unit_tests",
    "verdict": "filters.verdict",
    "near_duplicates": "filters.near_duplicates",
    "ifd": "scorers.ifd",
    "embedding": "scorers.embedding",
    "pick": "selectors.k_center",
}
TYPES = {
    **CONTENT,
    "code": pa.string(),
    "verdicts.unit_tests.passed": pa.bool_(),
    "verdicts.unit_tests.status": pa.string(),
    "scores.ifd.ppl": pa.float64(),
    "scores.ifd.value": pa.float64(),
    "scores.embedding.vector": pa.list_(pa.float32()),
    "picks.pick.rank": pa.int64(),
}
UNITS = [
    ("00-00", 0, ["write", "unit_tests", "verdict"]),
    ("00-01", 0, ["near_duplicates"]),
    ("00-02", 0, ["ifd", "embedding"]),
    ("target", None, ["target"]),
    ("select-00", None, ["pick"]),
]


class Writer:
    """Sends rows through the stages by hand and writes what a run would leave."""

    def __init__(self, path: Path, n_seeds: int) -> None:
        self.path, self.rng = path, random.Random(3)
        self.counts: Counts = {}
        self.files: list[str] = []
        contents = [{"code": f"def f{i}(x):\n    return x + {i}"} for i in range(n_seeds)]
        self.seeds = [
            {**c, "id": i, "root": i, "parents": [], "stage": "seeds", "round": 0, "calls": [],
             "source": "stdlib", "license": "PSF-2.0", "lang": "python"}
            for c, i in zip(contents, seed_ids(contents), strict=True)
        ]  # fmt: skip

    def unit(self, folder: str, shard: Shard) -> list[dict[str, Any]]:
        add(self.counts, shard.counts)
        name = f"shards/{folder}/one.parquet"
        shard.write(self.path / name, schema_of(TYPES, ends=True), canonical)
        self.files.append(name)
        return sorted(shard.kept(), key=canonical)

    def first(self) -> list[dict[str, Any]]:
        shard = Shard()
        for i, seed in enumerate(self.seeds):
            if i % 9 == 8:
                shard.count("write", in_=1, rejected=1)
                why = f"no fence in the answer: {HOSTILE}"
                shard.end(seed, "rejected", "write", code="unparsed", detail=why)
                continue
            shard.end(seed, "expanded", "write")
            shard.count("write", in_=1, entered_ok=1, made=3, kept=3)
            for number in range(3):
                self.child(seed, i, number, shard)
        return self.unit("00-00", shard)

    def child(self, seed: dict[str, Any], i: int, number: int, shard: Shard) -> None:
        topic = self.rng.choice(["adds a number to", "sorts", "counts the words of", "reverses"])
        row = {
            **seed,
            "id": child_id([seed["id"]], "write", 0, number),
            "parents": [seed["id"]],
            "stage": "write",
            "instruction": f"Write a function that {topic} its input, variant {number} of {i}.",
            "output": f"def f(x):\n    return x + {i}  # {number}",
            "calls": [f"call-{i}-{number}"],
            "gen": {"model": "demo", "revision": "abc", "finish_reason": "stop", "tokens": 40},
        }
        if number == 0:
            row["instruction"] += f" {HOSTILE}"
        status = self.rng.choices(["pass", "fail", "error", "timeout"], [5, 4, 2, 1])[0]
        row["verdicts"] = {"unit_tests": {"passed": status == "pass", "status": status}}
        if i == 0 and number == 1:
            row["verdicts"] = {"unit_tests": {"passed": None, "status": "infra_error"}}
            status = "pass"  # not judged is not failed: it stays
        shard.count("unit_tests", in_=1, entered_ok=1, made=1, kept=1)
        if status == "pass":
            shard.count("verdict", in_=1, entered_ok=1, made=1, kept=1)
            shard.end(row, "kept", "verdict")
        else:
            shard.count("verdict", in_=1, rejected=1)
            why = f"{status}: assert f(2) == {i} | {HOSTILE}"
            shard.end(row, "rejected", "verdict", code="failed_tests", detail=why)

    def duplicates(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        shard = Shard()
        for i, row in enumerate(rows):
            self.pass_or(shard, row, "near_duplicates", i % 6 != 5, "near_duplicate", "0.93")
        return self.unit("00-01", shard)

    def scored(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        shard = Shard()
        for row in rows:
            centre = hash_float(row["instruction"][:40])
            noise = [self.rng.gauss(0, 0.06) for _ in range(8)]
            axis = [math.cos(6 * centre), math.sin(6 * centre), centre, 0.1, 0, 0, 0, 0]
            vector = [a + n for a, n in zip(axis, noise, strict=True)]
            value = self.rng.betavariate(5, 3)
            row["scores"] = {
                "ifd": {"ppl": math.exp(self.rng.gauss(2, 0.5)), "value": value},
                "embedding": {"vector": vector},
            }
            for label in ("ifd", "embedding"):
                shard.count(label, in_=1, entered_ok=1, made=1, kept=1)
            shard.end(row, "kept", "embedding")
        return self.unit("00-02", shard)

    def chosen(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        shard = Shard()
        for row in rows:
            self.pass_or(shard, row, "target", True, "", "")
        rows = self.unit("target", shard)
        shard = Shard()
        for i, row in enumerate(rows):
            row["picks"] = {"pick": {"rank": i if i % 3 == 0 else None}}
            self.pass_or(shard, row, "pick", i % 3 == 0, "not_selected", "covered by another row")
        return self.unit("select-00", shard)

    def pass_or(self, shard, row, label, is_kept, code, detail) -> None:
        if is_kept:
            shard.count(label, in_=1, entered_ok=1, made=1, kept=1)
            shard.end(row, "kept", label)
        else:
            shard.count(label, in_=1, rejected=1)
            shard.end(row, "rejected", label, code=code, detail=detail)

    def finish(self, rows: list[dict[str, Any]], **note: Any) -> None:
        table = to_table(rows, schema_of(TYPES))
        write_parquet(self.path / "dataset" / "data" / "train-00000-of-00001.parquet", table)
        units = [{"folder": f, "round": r, "labels": names} for f, r, names in UNITS]
        ledger = {
            "name": "demo_run", "fingerprint": "f" * 32, "stop": "seeds", "seeds": len(self.seeds),
            "tokens": 48200, "units": units, "stages": lines(LABELS, self.counts),
            "files": self.files, **note,
        }  # fmt: skip
        write_text(self.path / "ledger.json", json.dumps(ledger))
        recipe = {
            "name": "demo_run", "seed": 7, "target": None, "seeds": {"path": "stdlib"},
            "engines": {
                "generator": {"use": "vllm", "model": "demo"},
                "scorer": {"use": "logprobs", "model": "demo"},
            },
            "stages": [{"use": USES[n], "as": n} for n in LABELS if n != "target"],
        }  # fmt: skip
        lock = {"fingerprint": "f" * 32, "engines": {"generator": "vllm:1"}, "recipe": recipe}
        write_text(self.path / "recipe.lock.yaml", yaml.safe_dump(lock))


def unlinked(text: str) -> str:
    """Return a card with its figures as they read: what they lead to left out."""
    return re.sub(r"\[([^]]*)\]\((?:#|data/|exports/|marks\.)[^)]*\)", r"\1", text)


def hash_float(text: str) -> float:
    return sum(map(ord, text)) % 97 / 97


COUNTED = {
    "roles": {
        "generator": {
            "engine": "Vllm", "identity": "vllm:0a1b", "made": 90, "replayed": 0, "tokens": 40000
        },
        "scorer": {
            "engine": "LogProbs", "identity": "lp:99", "made": 30, "replayed": 30, "tokens": 8200
        },
    },
    "input": {"malformed": 2, "notes": ["3 functions without a docstring <b>"]},
}  # fmt: skip
BILL = {
    "made": 120, "replayed": 30, "tokens": 40000, "wall_s": 29.5, "cpu_s": 12.25,
    "timeline": [[t / 2, 9 * t - t * t // 15, 900 * t + 300 * (t % 3)] for t in range(60)],
}  # fmt: skip


def build(path: Path, n_seeds: int, **note: Any) -> Path:
    """Write a run of so many seeds; 100 of them make about 280 rows that end."""
    writer = Writer(path, n_seeds)
    rows = writer.chosen(writer.scored(writer.duplicates(writer.first())))
    writer.finish(rows, **{**COUNTED, **note})
    write_text(path / "costs" / "1-1.json", json.dumps(BILL))
    return path


@pytest.fixture
def finished(tmp_path: Path) -> Callable[..., Path]:
    def make(n_seeds: int = 30, path: Path | None = None, **note: Any) -> Path:
        return build(path or tmp_path / "runs" / "demo_run-ffff", n_seeds, **note)

    return make
