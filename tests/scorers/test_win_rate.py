"""Win rate and capacity recovery: verdicts on pairs, counted."""

import pyarrow as pa
import pytest

from gristmill.scorers.win_rate import WinRate


def decided(verdicts):
    ids = [str(i) for i in range(len(verdicts))]
    table = pa.table({"id": ids, "verdicts.fellowship.winner": pa.array(verdicts, pa.string())})
    return WinRate().decide(table).to_pylist()


def test_the_worked_recovery_of_a_tuned_model() -> None:
    lines = decided(["chosen"] * 29 + ["tie"] * 145 + ["rejected"] * 44)
    assert all(line["keep"] for line in lines)
    assert {round(line["recovery"], 4) for line in lines} == {0.7982}
    assert lines[0]["win_rate"] == pytest.approx(29 / 218)


def test_pairs_without_a_verdict_count_for_nothing() -> None:
    lines = decided(["chosen", None, "rejected", "", "unparsed_judge", "chosen", "tie"])
    assert [line["win_rate"] for line in lines] == [0.5, None, 0.5, None, None, 0.5, 0.5]
    assert [line["recovery"] for line in lines] == [0.75, None, 0.75, None, None, 0.75, 0.75]
    assert decided([None])[0]["win_rate"] is None
