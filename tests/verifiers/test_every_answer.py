"""What judges answers, by walking the folders: no answer fails a row, none passes wrongly."""

import asyncio
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import gristmill
from gristmill.engines.sandbox.program import Verdict
from gristmill.pipelines import Context, RowStage

LONG = "7" * 100_000
SAME = [
    ("5 km", "5 km"), ("5", "5 dollars"), ("72 dollars", "$72"), ("0.5", "1/2"), ("3/4", "6/8"),
    ("2 1/2", "2.5"), ("\\frac{1}{2}", "0.5"), ("\\dfrac12", "\\frac{1}{2}"), ("\u22127", "-7"),
    ("\\$5", "5 dollars"), ("\\$1,000", "1000"),
    ("$1{,}000$", "1000"), ("1,000", "1000.0"), (LONG, LONG), (f"\u2212{LONG}", f"-{LONG}"),
]  # fmt: skip
OTHER = [
    ("5 km", "6 km"), ("1/2", "1/3"), ("0.333", "1/3"), ("2 1/2", "21/2"), ("\\frac{1}{2}", "2"),
    ("\\frac{10}{20}", "20"), ("\u22127", "7"), ("-7", "\u22128"), ("0.5", "50"), ("10^3", "10"),
    ("10^3", "3"), ("\\sqrt{2}", "2"), (LONG, LONG[:-1] + "8"), (LONG, LONG[1:]), (LONG, "7"),
    (f"-{LONG}", LONG), (f"{LONG}/3", "3"), (f"1/{LONG}", "1"), (f"0.{LONG}", "0"), ("", "0"),
    (f"\\frac{{1}}{{{LONG}}}", "1"), (f"{LONG}^2", "2"), ("1/0", "0"), ("x = 5", "6"),
    ("\u221e", "8"),
]  # fmt: skip
SHAPES = [
    ("5 km", "5 miles"), ("$5", "5 cents"), ("5 km", "$5"), ("\\$5", "5 euros"),
    ("50%", "50"), ("(1,2)", "{1,2}"), ("[1,2)", "(1,2]"), ("NaN", "NaN km"),
]  # fmt: skip
"""What is another answer by more than its numbers; other judges say that they look away there."""
FORMS = ("The answer is {}.", "#### {}", "So it is $\\boxed{{{}}}$", "{}")


class Silent:
    """A sandbox whose algebra knows nothing."""

    def stored(self, request: Any) -> tuple[str, Any]:
        return "key", Verdict("pass", values=[["n"]])

    async def ask(self, request: Any) -> tuple[str, Any]:
        return self.stored(request)


def judges() -> dict[str, RowStage]:
    """Return the stages that compare an output with a reference."""
    found = {}
    for folder in ("verifiers", "scorers"):
        for path in sorted((Path(gristmill.__file__).parent / folder).glob("[a-z]*.py")):
            module = import_module(f"gristmill.{folder}.{path.stem}")
            for kind in vars(module).values():
                if isinstance(kind, type) and kind.__module__ == module.__name__:
                    made = issubclass(kind, RowStage) and built(kind)
                    if made and {"output", "reference"} <= made.reads():
                        found[path.stem] = made
    return found


def built(kind: type[RowStage]) -> RowStage | None:
    """Return a stage with its defaults; None where a parameter has none."""
    needs = any(field.is_required() for field in kind.model_fields.values())
    return None if needs else kind()


JUDGES = judges()


def says(name: str, output: str, reference: str) -> bool | None:
    """Return what a judge says where the sandbox knows no algebra."""
    stage: Any = JUDGES[name]
    row = {"output": output, "reference": reference}
    ctx = Context({"sandbox": Silent()}, 0, name, "row")
    found = asyncio.run(stage(row, ctx)) if stage.needs() else stage(row)
    said = found.get("passed", found.get("exact"))
    return None if said is None else bool(said)


def test_there_are_judges_to_walk() -> None:
    assert {"math_answer", "final_number", "answer_match"} <= {*JUDGES}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", JUDGES)
def test_no_wrong_answer_passes(name: str, form: str) -> None:
    passed = [
        (one[:40], other[:40])
        for pair in [*OTHER, *(SHAPES if name == "math_answer" and form != "{}" else [])]
        for one, other in (pair, pair[::-1])
        if says(name, form.format(one), other)
    ]
    assert passed == []


@pytest.mark.parametrize("form", FORMS)
def test_a_right_answer_passes_however_it_is_written(form: str) -> None:
    failed = [
        (one[:40], other[:40])
        for one, other in SAME
        if not says("math_answer", form.format(one), other)
    ]
    assert failed == []
