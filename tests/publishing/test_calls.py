"""What is seen from a stored answer alone, for every kind of answer there is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.engines.requests import Completion, LogProbs, Probs, Vector
from gristmill.engines.sandbox.program import Verdict
from gristmill.publishing.calls import Reply, read

UNIT = np.array([0.6, 0.0, 0.8, 0.0], np.float32)


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (Completion("Hello.", "stop", 1, 2), Reply("generate", "Hello.")),
        (Probs({"A": 0.75, "B": 0.25}, 1.0, 3), Reply("choice", "A=0.750, B=0.250")),
        (Verdict("fail", "f(2)", 3, 1), Reply("run", "fail: f(2): 1 of 3 checks passed")),
        (Vector(UNIT, 5, cut=False), Reply("embed", "a vector of 4 numbers")),
        (LogProbs([-1.0, -2.0], 3, 2), Reply("score", "log-probs of 2 tokens, 1.500 nats each")),
        (LogProbs([-1.0], 3, 1), Reply("score", "log-probs of 1 tokens, 1.000 nats each")),
        (LogProbs([], 3, 0), Reply("score", "log-probs of 0 tokens")),
    ],
)
def test_a_stored_answer_says_what_kind_of_call_it_was(answer, reply) -> None:
    assert read(answer.pack()) == reply


@given(st.lists(st.floats(-1e4, 0), min_size=2))
def test_log_probs_are_told_from_vectors_without_a_warning(values) -> None:
    assert read(LogProbs(values, 3, len(values)).pack()).kind == "score"


@pytest.mark.parametrize("packed", [b"", b"\xff\xfe", b"12345678abc", b"{}", b"[1]", b"7"])
def test_bytes_of_another_kind_are_told_as_such(packed) -> None:
    assert read(packed).kind == "unknown"
