import pytest

from gristmill.engines.sandbox.program import Verdict
from gristmill.verifiers.math_answer import MathAnswer

TRUE, FALSE, NONE = (Verdict("pass", values=[v]) for v in (["b", 1], ["b", 0], ["n"]))
ALGEBRA = {"output": "So \\boxed{2\\sqrt{2}}.", "reference": "$\\sqrt{8}$"}


@pytest.mark.parametrize(
    ("output", "reference", "passed", "status", "by"),
    [
        ("It is \\boxed{0.5}", "\\frac{1}{2}", True, "pass", "exact"),
        ("so 72 apples", "48 + 24 = 72\n#### 72", True, "pass", "text"),
        ("so 71 apples", "#### 72", False, "fail", "exact"),
        ("who knows", "72", None, "no_answer", None),
        (None, "72", None, "no_answer", None),
        ("\\boxed{} or 72", "72", None, "no_answer", None),
        ("72", "", None, "no_reference", None),
        ("72", None, None, "no_reference", None),
        ("\\boxed{__import__('os')}", "72", None, "unknown", None),
        ("\\boxed{5 m}", "5 km", None, "unknown", None),
        ("\\boxed{5 million}", "5", None, "unknown", None),
        ("\\boxed{5 dollars}", "5", True, "pass", "exact"),
        ("\\boxed{\u22125}", "5", False, "fail", "exact"),
        ("7" * 100_000, "7" * 99_999 + "8", None, "unknown", None),
    ],
)
def test_numbers_and_texts_need_no_sandbox(
    ask, script, output, reference, passed, status, by
) -> None:
    row = ask(MathAnswer(), {"output": output, "reference": reference}, script({}))
    assert (row["passed"], row["status"], row["verified_by"]) == (passed, status, by)


@pytest.mark.parametrize(
    ("verdict", "passed", "status", "by"),
    [
        (TRUE, True, "pass", "algebra"),
        (FALSE, False, "fail", "algebra"),
        (NONE, None, "unknown", None),
        (Verdict("timeout", values=[None]), None, "unknown", None),
        (Verdict("error", values=[["!", "ValueError"]]), None, "unknown", None),
        (Verdict("missing_dependency", "math_verify"), None, "missing_dependency", None),
    ],
)
def test_what_takes_algebra_is_asked_in_the_sandbox(
    ask, script, verdict, passed, status, by
) -> None:
    engine = script({"math_verify": [verdict]})
    row = ask(MathAnswer(timeout_s=3), ALGEBRA, engine)
    assert (row["passed"], row["status"], row["verified_by"]) == (passed, status, by)
    assert row["answer"] == "2\\sqrt{2}"
    (program,) = engine.calls
    assert program.calls == ("same('\\\\sqrt{8}', '2\\\\sqrt{2}')",)
    assert (program.profile, program.timeout_s) == ("sympy", 3)


def test_the_reference_may_have_another_name() -> None:
    assert MathAnswer(reference="meta.gold").reads() == {"output", "meta.gold"}
