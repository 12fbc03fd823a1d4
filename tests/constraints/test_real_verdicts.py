"""The verdicts that the public checker gave on the answers of seven models."""

import json
import os
from pathlib import Path

import pytest

from gristmill.constraints.catalogue import check_ifeval

DATA = Path(os.environ.get("GRISTMILL_DATA", "nowhere"))
ON_LANGUAGE = ("response_language", "english_capital", "english_lowercase")


needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="GRISTMILL_DATA names no folder")


@needs_data
def test_all_real_verdicts_but_those_on_language_are_met() -> None:
    same, total = agreement(on_language=False)
    assert same == total == 5208


@needs_data
@pytest.mark.slow
def test_nearly_all_real_verdicts_on_language_are_met() -> None:
    """The public checker seeds nothing: docs/constraints.md names the two that differ."""
    pytest.importorskip("langdetect")
    same, total = agreement(on_language=True)
    assert (same, total) == (572, 574)


def agreement(*, on_language: bool) -> tuple[int, int]:
    """Return how many verdicts are as they were recorded, strict and loose, and of how many."""
    same = total = 0
    for folder, asked in (("ifeval", "input_data.jsonl"), ("m_ifeval", "en_input_data.jsonl")):
        prompts = {row["key"]: row for row in rows(DATA / folder / asked)}
        for row in (row for path in (DATA / folder).glob("responses_*") for row in rows(path)):
            ids, kwargs = row["instruction_id_list"], prompts[row["key"]]["kwargs"]
            judged = [i for i, cid in enumerate(ids) if cid.endswith(ON_LANGUAGE) == on_language]
            arguments = [ids[i] for i in judged], [kwargs[i] for i in judged], row["response"]
            for mode in ("strict", "loose"):
                found = check_ifeval(*arguments, strict=mode == "strict")
                same += sum(a == row[mode][i] for a, i in zip(found, judged, strict=True))
                total += len(judged)
    return same, total


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
