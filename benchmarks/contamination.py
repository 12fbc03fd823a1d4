"""contamination: rows per second of the check, and what it finds of planted copies.

The claim: a row is checked against all benchmarks at once in one pass, so that the time does not
grow with their number, and every copy of a question is found. The baseline compares a row with the
runs of one benchmark row after the other, as a loop over SelfCodeAlign's rule does. Needs
GRISTMILL_DATA, the folder with HumanEval, MBPP, GSM8K, IFEval, SVAMP and Alpaca.

    python benchmarks/contamination.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from telling import data_folder, machine, tell

from gristmill.formats.benchmarks import add, rows_of
from gristmill.text.overlaps import NGRAM, Method, Overlaps, Protected
from gristmill.text.words import words

SETS = {
    "humaneval": "human_eval/HumanEval.jsonl",
    "mbpp": "mbpp/mbpp.jsonl",
    "gsm8k": "gsm8k/test.jsonl",
    "ifeval": "ifeval/input_data.jsonl",
    "svamp": "svamp/SVAMP.json",
}
ARMS = 5


def protected(data: Path) -> list[Protected]:
    """Return the rows of all sets."""
    with tempfile.TemporaryDirectory() as folder:
        registry = Path(folder) / "benchmarks.json"
        for name, file in SETS.items():
            add(registry, name, str(data / file), {})
        return [row for name in SETS for row in rows_of(registry, name)]


def runs(text: str) -> set[str]:
    """Return the runs of a text."""
    said = words(text)
    return {" ".join(said[i : i + NGRAM]) for i in range(len(said) - NGRAM + 1)}


def one_by_one(known: Sequence[set[str]], text: str) -> bool:
    """Compare with one benchmark row after the other: the baseline."""
    found = runs(text)
    return any(not found.isdisjoint(other) for other in known)


def rate(check: Callable[[str], object], texts: Sequence[str]) -> float:
    """Return texts per second of CPU time."""
    start = time.process_time()
    for text in texts:
        check(text)
    return len(texts) / (time.process_time() - start)


SWAPS = {
    "how": "what", "many": "number", "write": "create", "function": "routine", "return": "give",
    "find": "determine", "given": "provided", "list": "sequence", "number": "figure",
    "string": "text", "check": "verify", "whether": "if", "each": "every", "more": "additional",
    "bought": "purchased", "buy": "purchase", "buys": "purchases", "total": "overall",
    "cost": "price", "made": "produced", "make": "produce", "makes": "produces", "gave": "handed",
    "gives": "hands", "left": "remaining", "sum": "addition", "largest": "biggest",
    "smallest": "least", "first": "initial", "last": "final", "elements": "items",
    "words": "terms", "students": "pupils", "school": "academy", "children": "kids",
    "people": "persons", "money": "cash", "friend": "companion", "house": "home",
    "car": "vehicle", "big": "large", "small": "little", "please": "kindly",
    "using": "employing", "use": "employ", "contain": "include", "response": "answer",
    "answer": "reply", "provide": "supply",
}  # fmt: skip


def rephrased(text: str) -> str:
    """Return a question with its last sentence first, and other words for common ones."""
    parts = re.split(r"(?<=[.?!])\s+", text.strip())
    swapped = " ".join([parts[-1], *parts[1:-1], parts[0]] if len(parts) > 2 else parts)
    return re.sub(r"[A-Za-z]+", lambda word: SWAPS.get(word[0].lower(), word[0]), swapped)


BOUND = re.compile(r"\b(\w+)(?= =[^=])|\bfor (\w+)\b")


def changed(program: str) -> dict[str, str]:
    """Return the ways in which a program comes back: layout, names, remarks in another language."""
    code = program.replace("\r\n", "\n")
    names = dict.fromkeys(one or other for one, other in BOUND.findall(code))
    renamed = code
    for i, name in enumerate(names):
        renamed = re.sub(rf"\b{name}\b", f"renamed_{i}", renamed)
    return {
        "re-indented": code.replace("    ", "\t"),
        "with other names": renamed,
        "with remarks translated": re.sub(r"(?m)$", "  # hier \u00fcbersetzt", code),
    }


def by_meaning(rows: Sequence[Protected], texts: Sequence[str]) -> dict[str, float]:
    """Return what embeddings find of rephrased questions and of real texts, by limit."""
    from sentence_transformers import SentenceTransformer

    from gristmill.engines.models import locate

    model = SentenceTransformer(str(locate("minilm")), device="cpu")
    copies = [rephrased(row.question) for row in rows[::4]]
    asked = [[row.question for row in rows], copies, texts]
    known, again, real = (model.encode(list(t), normalize_embeddings=True) for t in asked)
    found = {}
    for limit in (0.75, 0.8, 0.85, 0.9):
        recall, false = ((vectors @ known.T).max(axis=1) >= limit for vectors in (again, real))
        found[f"recall of {len(copies)} rephrased, cosine {limit}"] = round(recall.mean(), 3)
        found[f"found of {len(texts)} real questions, cosine {limit}"] = int(false.sum())
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    data = data_folder()
    rows = protected(data)
    alpaca = json.loads((data / "alpaca/random_9k.json").read_text())
    texts = [f"{row['instruction']}\n{row['input']}\n{row['output']}" for row in alpaca]
    texts = texts[: 1000 if args.quick else None]
    known = [
        runs(text) for row in rows for text in (row.question, "" if row.is_code else row.solution)
    ]
    index = Overlaps(rows, ("words",), NGRAM)
    ours, naive = [], []
    for _ in range(ARMS):
        ours.append(rate(index.find, texts))
        naive.append(rate(lambda text: one_by_one(known, text), texts[:1000]))
    ratios = [a / b for a, b in zip(ours, naive, strict=True)]
    both = [*texts[:300], *(row.question for row in rows[:: len(rows) // 100])]
    agreed = [(index.find(text) is not None) == one_by_one(known, text) for text in both]
    result: dict[str, object] = {
        "name": "contamination",
        "ratio": round(statistics.median(ratios), 1),
        "spread": f"{min(ratios):.1f} to {max(ratios):.1f}",
        "baseline": round(statistics.median(naive)),
        "unit": "rows/s",
        "rows/s": round(statistics.median(ours)),
        "words of a run": NGRAM,
        # The baseline knows no questions shorter than a run.
        "share of texts on which both agree": round(statistics.mean(agreed), 3),
    }
    methods: list[tuple[Method, ...]] = [
        ("words",),
        ("solutions",),
        ("chars",),
        ("words", "solutions"),
    ]
    for names in methods:
        checked = Overlaps(rows, names, NGRAM)
        result[f"rows/s, {' and '.join(names)}"] = round(rate(checked.find, texts))
        result[f"found of {len(texts)} real rows, {' and '.join(names)}"] = sum(
            checked.find(text) is not None for text in texts
        )
        copies = [f"Please help.\n> {row.question.upper()}\nThanks!" for row in rows]
        result[f"recall of questions, {' and '.join(names)}"] = round(
            sum(checked.find(text) is not None for text in copies) / len(copies), 3
        )
        programs = [changed(row.solution) for row in rows if row.is_code]
        for how in programs[0]:
            result[f"recall of programs {how}, {' and '.join(names)}"] = round(
                sum(checked.find(one[how]) is not None for one in programs) / len(programs), 3
            )
    rephrasings = [rephrased(row.question) for row in rows]
    result["recall of rephrased, words"] = round(
        sum(index.find(text) is not None for text in rephrasings) / len(rephrasings), 3
    )
    asked = [f"{row['instruction']}\n{row['input']}".strip() for row in alpaca]
    n = 400 if args.quick else 2000
    result |= by_meaning(rows[:: 10 if args.quick else 1], asked[:n])
    result |= {"benchmark rows": len(rows), "rows": len(texts), "arms": ARMS, "machine": machine()}
    tell(result, as_json=args.json)


if __name__ == "__main__":
    main()
