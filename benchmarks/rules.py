"""rules: rows per second of every rule that looks at one row, and of all of them together.

Rules cost next to nothing beside a model. The goal is 20,000 rows per second of one core through
all of them together, but for the one that tells languages; `times the limit` says how near that
is. The baseline is the loop itself, a rule that looks at nothing. Needs GRISTMILL_DATA, the folder
with Alpaca.

    python benchmarks/rules.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from telling import data_folder, machine, tell

from gristmill.filters.flagged import Flagged
from gristmill.filters.injection import Injection
from gristmill.filters.language import Language
from gristmill.filters.length import Length
from gristmill.filters.personal_data import PersonalData
from gristmill.filters.quality import Quality
from gristmill.filters.rewritten import Rewritten
from gristmill.filters.score_range import ScoreRange
from gristmill.filters.script import Script
from gristmill.filters.secrets import Secrets
from gristmill.pipelines import Drop

Rule = Callable[[Any], Any]
ARMS = 5
LIMIT = 20_000
"""Rows per second of one core, through all rules together."""
RULES: Mapping[str, Rule] = {
    "length": Length(),
    "quality": Quality(),
    "script": Script(lang="en"),
    "injection": Injection(),
    "personal_data": PersonalData(),
    "secrets": Secrets(),
    "rewritten": Rewritten(made_from="parent"),
    "flagged": Flagged(flags=("truncated",)),
    "score_range": ScoreRange(of="score", below=1.0),
}


def nothing(row: Any) -> dict[str, Any]:
    """Keep a row without looking at it: the baseline."""
    return {}


def chain(rules: Iterable[Rule]) -> Rule:
    """Return one rule: a row that one of them drops is not looked at by the next."""
    some = list(rules)

    def first_drop(row: Any) -> Any:
        return next((out for rule in some if isinstance(out := rule(row), Drop)), {})

    return first_drop


def rate(rule: Rule, rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Return rows per second of CPU time, and the share that leaves."""
    start = time.process_time()
    n = sum(isinstance(rule(row), Drop) for row in rows)
    return len(rows) / (time.process_time() - start), n / len(rows)


def rows_of(data: Path) -> list[dict[str, Any]]:
    """Return real rows with the columns that the rules read."""
    rows = json.loads((data / "alpaca/random_9k.json").read_text())
    given = {"messages": None, "flags": None, "lang": "en", "gen": None, "score": 0.5}
    pair = dict.fromkeys(("prompt", "chosen", "rejected"))
    return [{**given, **pair, "parent": "Name a thing.", **row} for row in rows]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = rows_of(data_folder())[: 2000 if args.quick else None]
    every = {**RULES, "all together": chain(RULES.values()), "language": Language(lang="en")}
    for rule in every.values():
        rate(rule, rows[:50])
    taken: dict[str, list[float]] = {name: [] for name in ("nothing", *every)}
    left = dict[str, float]()
    for _ in range(ARMS):
        for name, rule in {"nothing": nothing, **every}.items():
            speed, left[name] = rate(rule, rows)
            taken[name].append(speed)
    speeds = {name: round(statistics.median(found)) for name, found in taken.items()}
    together, loop = taken["all together"], taken["nothing"]
    ratios = [a / b for a, b in zip(together, loop, strict=True)]
    result: dict[str, object] = {
        "name": "rules",
        "ratio": round(statistics.median(ratios), 5),
        "baseline": speeds["nothing"],
        "unit": "rows/s",
        "rows/s, all together": speeds["all together"],
        "times the limit": round(speeds["all together"] / LIMIT, 2),
    }
    for name in (*RULES, "language"):
        result[f"rows/s, {name}"] = speeds[name]
        result[f"share that leaves, {name}"] = round(left[name], 4)
    words = [
        sum(len((row[k] or "").split()) for k in ("instruction", "input", "output")) for row in rows
    ]
    result |= {"rows": len(rows), "words of a row": round(statistics.mean(words), 1)}
    tell({**result, "arms": ARMS, "machine": machine()}, as_json=args.json)


if __name__ == "__main__":
    main()
