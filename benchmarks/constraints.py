"""Responses/s through the whole catalogue of IFEval's types without language, on one core.

Goal: 5,000 responses/s, each judged strictly by all 22 types: 5,500 on a quiet core, and 6,700
before checks had a limit; then 6.9 times the package on a busy one (README.md has the spreads).
Judged by the constraints that they were asked to follow, one or two each, their parameters read
anew each time, there are about 26,000 (`own`). `apart` is the rate by the clock in another thread,
where a process of its own answers: it is asked for one response at a time. The baseline is the
public checker as the package if-verifiable has it, its instructions built beforehand, on those of
the types that it can judge here (without NLTK's data files it counts no sentences and no capital
words); the ratio is over these types. Where the package is missing, the baseline is `plain`: the
patterns of the paper's checker written down as they are published, without any care for speed.
Verdicts of both arms are compared. Time is the processor's, which says more on a busy machine. The
responses are those of seven models on IFEval, from the folder that GRISTMILL_DATA names.

    python benchmarks/constraints.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

from telling import data_folder, machine, tell

from gristmill.constraints.catalogue import check_all, check_ifeval, constraint

GOAL = 5_000
MORE, LESS = {"relation": "at least"}, {"relation": "less than"}
CATALOGUE: dict[str, dict[str, Any]] = {
    "keywords:existence": {"keywords": ["the", "people"]},
    "keywords:frequency": {"keyword": "people", "frequency": 2, **MORE},
    "keywords:forbidden_words": {"forbidden_words": ["coffee", "guitar"]},
    "keywords:letter_frequency": {"letter": "q", "let_frequency": 3, "let_relation": "less than"},
    "length_constraints:number_sentences": {"num_sentences": 9, **MORE},
    "length_constraints:number_paragraphs": {"num_paragraphs": 1},
    "length_constraints:number_words": {"num_words": 200, **LESS},
    "length_constraints:nth_paragraph_first_word": {
        "num_paragraphs": 4,
        "nth_paragraph": 2,
        "first_word": "the",
    },
    "detectable_content:number_placeholders": {"num_placeholders": 2},
    "detectable_content:postscript": {"postscript_marker": "P.S."},
    "detectable_format:number_bullet_lists": {"num_bullets": 3},
    "detectable_format:constrained_response": {},
    "detectable_format:number_highlighted_sections": {"num_highlights": 2},
    "detectable_format:multiple_sections": {"section_spliter": "Section", "num_sections": 2},
    "detectable_format:json_format": {},
    "detectable_format:title": {},
    "combination:two_responses": {},
    "combination:repeat_prompt": {"prompt_to_repeat": "Write a letter."},
    "startend:end_checker": {"end_phrase": "Any other questions?"},
    "startend:quotation": {},
    "change_case:capital_word_frequency": {"capital_frequency": 3, "capital_relation": "at least"},
    "punctuation:no_comma": {},
}
Checks = Mapping[str, Callable[[str], bool]]
Arm = Callable[[str], list[bool]]


def ours(cids: Iterable[str]) -> Arm:
    """Return what judges a response by all of these types, as a row is."""
    wanted = [constraint(cid, CATALOGUE[cid]) for cid in cids]
    return lambda text: [verdict.passed for verdict in check_all(wanted, [text])[0]]


def packaged() -> Checks:
    """Return the package's checks, without those that lack data files here."""
    from if_verifiable.ifeval.instructions_registry import INSTRUCTION_DICT

    arm = {}
    for cid, params in CATALOGUE.items():
        instruction = INSTRUCTION_DICT[cid](cid)
        instruction.build_description(**params)
        try:
            instruction.check_following("One. TWO.")
        except LookupError:
            continue
        arm[cid] = instruction.check_following
    return arm


def plain() -> Checks:
    """Return the published patterns, for the types whose rule is a pattern."""
    many = re.MULTILINE
    return {
        "keywords:existence": lambda t: all(re.search(k, t, re.I) for k in ("the", "people")),
        "keywords:frequency": lambda t: len(re.findall("people", t, re.I)) >= 2,
        "keywords:forbidden_words": lambda t: (
            not any(re.search(rf"\b{word}\b", t, re.I) for word in ("coffee", "guitar"))
        ),
        "keywords:letter_frequency": lambda t: sum(letter == "q" for letter in t.lower()) < 3,
        "length_constraints:number_words": lambda t: len(re.findall(r"\w+", t)) < 200,
        "detectable_content:number_placeholders": lambda t: len(re.findall(r"\[.*?\]", t)) >= 2,
        "detectable_content:postscript": lambda t: bool(
            re.findall(r"\s*p\.\s?s\..*$", t.lower(), many)
        ),
        "detectable_format:number_bullet_lists": lambda t: (
            len(re.findall(r"^\s*\*[^\*].*$", t, many)) + len(re.findall(r"^\s*-.*$", t, many)) == 3
        ),
        "detectable_format:multiple_sections": lambda t: (
            len(re.split(r"\s?Section\s?\d+\s?", t)) > 2
        ),
        "detectable_format:title": lambda t: any(
            found.lstrip("<").rstrip(">").strip() for found in re.findall(r"<<[^\n]+>>", t)
        ),
        "punctuation:no_comma": lambda t: not re.search(",", t),
    }


def read_responses() -> list[str]:
    """Return the responses of all seven models."""
    files = sorted(data_folder().glob("*ifeval/responses_*.jsonl"))
    rows = [json.loads(line) for path in files for line in path.read_text("utf-8").splitlines()]
    return [row["response"] for row in rows if (row["response"] or "").strip()]


def read_own() -> list[tuple[list[str], list[Any], str]]:
    """Return the responses of six models with what they were asked, but for languages."""
    folder = data_folder() / "m_ifeval"
    asked = map(json.loads, (folder / "en_input_data.jsonl").read_text("utf-8").splitlines())
    kwargs = {row["key"]: row["kwargs"] for row in asked}
    found = []
    for path in sorted(folder.glob("responses_*.jsonl")):
        for row in map(json.loads, path.read_text("utf-8").splitlines()):
            given = zip(row["instruction_id_list"], kwargs[row["key"]], strict=True)
            kept = [(cid, more) for cid, more in given if cid.removeprefix("en:") in CATALOGUE]
            if kept and row["response"]:
                found.append(([cid for cid, _ in kept], [x for _, x in kept], row["response"]))
    return found


def own_rate(rows: Sequence[tuple[list[str], list[Any], str]]) -> float:
    """Return responses per second of processor time, each judged strictly by its constraints."""
    start = time.process_time()
    for cids, kwargs, response in rows:
        check_ifeval(cids, kwargs, response)
    return len(rows) / (time.process_time() - start)


def timed(arm: Arm, texts: Sequence[str]) -> tuple[float, list[list[bool]]]:
    """Return seconds of processor time, and the verdicts."""
    start = time.process_time()
    verdicts = [arm(text) for text in texts]
    return time.process_time() - start, verdicts


def apart_rate(arm: Arm, texts: Sequence[str]) -> float:
    """Return responses per second of the clock in another thread, its process started before."""

    def rate() -> float:
        arm("One.")
        start = time.perf_counter()
        for text in texts:
            arm(text)
        return len(texts) / (time.perf_counter() - start)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(rate).result()


def main() -> None:
    """Run the arms in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 responses")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    texts = read_responses()[: 1000 if args.quick else None]
    name = "if-verifiable" if find_spec("if_verifiable") else "plain"
    checks = packaged() if name == "if-verifiable" else plain()
    shared = [cid for cid in CATALOGUE if cid in checks]
    every, mine = ours(CATALOGUE), ours(shared)
    own, owns = read_own(), []
    rates, ratios, differing = [], [], 0
    for _ in range(args.repeats):
        whole, _ = timed(every, texts)
        fast, found = timed(mine, texts)
        slow, wanted = timed(lambda text: [bool(checks[cid](text)) for cid in shared], texts)
        owns.append(own_rate(own))
        rates.append(len(texts) / whole)
        ratios.append(slow / fast)
        differing = sum(
            a != b for x, y in zip(found, wanted, strict=True) for a, b in zip(x, y, strict=True)
        )
    result = {
        "name": "constraints",
        "ratio": round(statistics.median(ratios), 2),
        "baseline": name,
        "unit": "responses/s of one core's time",
        "ours": round(statistics.median(rates)),
        "own": round(statistics.median(owns)),
        "apart": round(apart_rate(every, texts)),
        "goal": GOAL,
        "types": len(CATALOGUE),
        "types_compared": len(shared),
        "verdicts_that_differ": differing,
        "responses": len(texts),
        "mean_chars": round(statistics.mean(map(len, texts))),
        "ratios": [round(x, 2) for x in ratios],
        "rates": [round(x) for x in rates],
        "machine": machine("pydantic"),
    }
    tell(result, as_json=args.json)


if __name__ == "__main__":
    main()
