import json
import os
import re
from fractions import Fraction
from pathlib import Path

import pytest

from gristmill.engines.requests import Completion
from gristmill.engines.sandbox import Program
from gristmill.generators.infinity_math import InfinityMath
from gristmill.generators.infinity_variants import InfinityVariants
from gristmill.pipelines import Drop

QUESTION = "Ann buys 4 pens for $3 each and a bag for $20. How much does she pay?"
MASKED = "Ann buys [[pens]] pens for $[[price]] each and a bag for $[[bag]]. How much does she pay?"
SEED = {"instruction": QUESTION, "output": "4 * 3 = 12, 12 + 20 = 32\n#### 32"}
GOOD = "def solve(pens, price, bag):\n    return pens * price + bag"
WRONG = "def solve(pens, price, bag):\n    return pens + price + bag"
MASK, WRITE, FIX = "### With slots", "### Function", "Make the smallest change"


def block(code: str) -> str:
    return f"Here:\n```python\n{code}\n```\n"


def made(row: dict, code: str = GOOD) -> dict:
    columns = {"template": row["template"], "code": code, "answer": row["answer"]}
    return {
        "instruction": row["instruction"],
        **{f"meta.infinity_math.{name}": text for name, text in columns.items()},
    }


def test_a_program_without_numbers_gives_seven_other_problems(ask, script, sandbox) -> None:
    engine = script({MASK: [MASKED], WRITE: [block(GOOD)]})
    row = ask(InfinityMath(), SEED, {"generator": engine, "sandbox": sandbox})
    assert (row["instruction"], row["answer"], row["fixes"]) == (QUESTION, "32", 0)
    assert engine.calls[0].prompt[0]["content"].endswith(f"### Problem\n{QUESTION}\n\n{MASK}")
    rows = ask(InfinityVariants(draws=20), made(row), {"sandbox": sandbox})
    assert [r["variant_mask"] for r in rows] == list(range(8)), "itself, and 2^3 - 1 more"
    assert (rows[0]["instruction"], rows[0]["answer"]) == (QUESTION, "32")
    for r in rows:
        pens, price, bag = map(int, r["values"])
        assert r["answer"] == str(pens * price + bag)
        assert price <= pens <= bag, "no number passed a larger one"
        changed = [v != own for v, own in zip(r["values"], ("4", "3", "20"), strict=True)]
        assert sum(c << i for i, c in enumerate(changed)) == r["variant_mask"]
        assert r["instruction"] == (
            f"Ann buys {pens} pens for ${price} each and a bag for ${bag}. How much does she pay?"
        )
    assert rows == ask(InfinityVariants(draws=20), made(row), {"sandbox": sandbox})
    again = [Program(r["output"].split("```python\n")[1].split("```")[0], r["tests"]) for r in rows]
    assert {verdict.status for verdict in sandbox.run_all(again)} == {"pass"}


def test_a_wrong_program_is_repaired_with_what_it_gave(ask, script, sandbox) -> None:
    engine = script({MASK: [MASKED], FIX: [block(WRONG), block(GOOD)], WRITE: [block(WRONG)]})
    row = ask(InfinityMath(), SEED, {"generator": engine, "sandbox": sandbox})
    assert row["fixes"] == 2
    last = engine.calls[-1].prompt
    assert [turn["role"] for turn in last] == ["user", "assistant", "user", "assistant", "user"]
    assert "solve(pens=4, price=3, bag=20) gives 27, but 32 is right" in last[-1]["content"]


def test_repairs_come_to_an_end(ask, script, sandbox) -> None:
    engine = script({MASK: [MASKED], FIX: [block(WRONG)], WRITE: [block(WRONG)]})
    drop = ask(InfinityMath(fixes=1), SEED, {"generator": engine, "sandbox": sandbox})
    assert (drop.code, len(engine.calls)) == ("wrong_program", 3)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("def solve(pens, price, bag):\n    return 32", "by_heart"),
        ("def solve(**n):\n    return 32 if n['pens'] == 4 else n['bag'] * 2", "by_heart"),
        ("def solve(pens, price, bag):\n    return pens * 3 + bag", "unused_slot"),
        ("def solve(pens, price, bag):\n    return max(bag + 12, pens + price)", "unused_slot"),
        ("def solve(pens, price):\n    return 32", "wrong_program"),
        ("def solve(pens, price, bag):\n    while True:\n        pass", "wrong_program"),
        ("import sys\nsys.exit(0)", "wrong_program"),
        ("def solve(pens, price, bag):\n    return 10 ** 99999", "wrong_program"),
        ("def solve(pens, price, bag) return 32", "wrong_program"),
    ],
)
def test_a_program_that_would_be_wrong_for_other_numbers_leaves(
    ask, script, sandbox, code, why
) -> None:
    engine = script({MASK: [MASKED], WRITE: [block(code)]})
    stage = InfinityMath(fixes=0, timeout_s=0.3)
    drop = ask(stage, SEED, {"generator": engine, "sandbox": sandbox})
    assert drop.code == why
    assert why in InfinityMath.codes


@pytest.mark.parametrize(
    ("seed", "table", "why"),
    [
        ({**SEED, "output": "who knows"}, {}, "no_answer"),
        (SEED, {MASK: [QUESTION]}, "no_template"),
        (SEED, {MASK: [MASKED.replace("Ann", "Bob")]}, "no_template"),
        (SEED, {MASK: ["Sorry, I cannot do that."]}, "no_template"),
        (SEED, {MASK: [" "]}, "empty"),
        (SEED, {MASK: [Completion("Ann buys", "length", 9, 2)]}, "cut_off"),
        (SEED, {MASK: [MASKED], WRITE: ["Sorry, no."]}, "no_code"),
        (SEED, {MASK: [MASKED], WRITE: ["```python\ndef solve("]}, "no_code"),
        (SEED, {MASK: [MASKED], WRITE: [Completion(block(GOOD), "length", 9, 9)]}, "cut_off"),
    ],
)
def test_a_reply_that_is_none_of_what_was_asked_leaves(ask, script, seed, table, why) -> None:
    drop = ask(InfinityMath(), seed, script(table))
    assert isinstance(drop, Drop)
    assert drop.code == why


def test_a_set_without_good_numbers_is_a_counted_reject(ask, sandbox) -> None:
    row = {
        "instruction": "12 cakes for 4.",
        "template": "[[cakes]] cakes for [[guests]].",
        "answer": "3",
    }
    code = "def solve(cakes, guests):\n    return cakes / guests if guests == 4 else 0.5"
    rows = ask(InfinityVariants(draws=50), made(row, code), {"sandbox": sandbox})
    assert [r.code if isinstance(r, Drop) else r["variant_mask"] for r in rows] == [
        0,
        1,
        "no_other_values",
        "no_other_values",
    ]
    assert ask(InfinityVariants(max_slots=1), made(row, code), {}).code == "too_many_slots"
    assert ask(InfinityVariants(), {**made(row), "instruction": "x"}, {}).code == "no_template"


STEP = re.compile(r"<<([^=<>]+)=([^<>]+)>>")
NUMBER = re.compile(r"(?<![\w.,])\d+(?:\.\d+)?(?![\w%]|[.,]\d|-digit)")


def masked(row: dict) -> tuple[str, list[str], str] | None:
    """Return template, slots and a program from the calculations that GSM8K notes in `<<>>`."""
    texts = NUMBER.findall(row["question"])
    steps = STEP.findall(row["answer"])
    if not 2 <= len(texts) <= 3 or len(set(texts)) < len(texts) or not steps:
        return None
    names = dict(zip(texts, ("first", "second", "third"), strict=False))
    lines = []
    for i, (left, right) in enumerate(steps):
        if not re.fullmatch(r"[\d.+*/() -]+", left):
            return None
        lines.append(f"    step{i} = {re.sub(r'[0-9.]+', lambda m: names.get(m[0], m[0]), left)}")
        names.setdefault(right, f"step{i}")
    used = [t for t in texts if any(names[t] in line for line in lines)]
    if used != texts:
        return None
    slots = [names[text] for text in texts]
    code = f"def solve({', '.join(slots)}):\n" + "\n".join(lines) + f"\n    return step{i}"
    return NUMBER.sub(lambda m: f"[[{names[m[0]]}]]", row["question"]), slots, code


def test_real_problems_of_gsm8k_keep_programs_and_answers_together(ask, script, sandbox) -> None:
    path = Path(os.environ.get("GRISTMILL_DATA", "")) / "gsm8k/train.jsonl"
    if not path.is_file():
        pytest.skip("no GRISTMILL_DATA/gsm8k")
    rows = map(json.loads, path.read_text().splitlines())
    found = [(row, whole) for row in rows if (whole := masked(row))][:16]
    kept = variants = 0
    for row, (template, slots, code) in found:
        engine = script({MASK: [template], WRITE: [block(code)]})
        seed = {"instruction": row["question"], "output": row["answer"]}
        written = ask(InfinityMath(fixes=0), seed, {"generator": engine, "sandbox": sandbox})
        if isinstance(written, Drop):
            assert written.code in ("unused_slot", "wrong_program", "no_template"), written
            engine.table.clear()
            continue
        kept += 1
        assert written["answer"] == row["answer"].split("#### ")[1].replace(",", "")
        others = ask(InfinityVariants(), made(written, code), {"sandbox": sandbox})
        assert len(others) == 2 ** len(slots)
        for other in others:
            if not isinstance(other, Drop):
                variants += other["variant_mask"] > 0
                known = dict(zip(slots, map(Fraction, other["values"]), strict=True))
                scope = {"__builtins__": {}}
                exec(code.replace("/", "*one/"), {**scope, "one": Fraction(1)}, scope)
                assert float(scope["solve"](**known)) == pytest.approx(float(other["answer"]))
    assert kept >= 10, f"{kept} of {len(found)}"
    assert variants >= 20
