import pyarrow as pa
import pytest

from gristmill.filters.first_passing import FirstPassing


@pytest.mark.parametrize(
    ("passed", "codes"),
    [
        ([False, True, True, None], ["not_passed", None, "another_passed", "not_passed"]),
        ([True], [None]),
        ([False, None], ["not_passed", "not_passed"]),
    ],
)
def test_only_the_first_that_passed_stays(passed, codes) -> None:
    ids = pa.array([str(i) for i in range(len(passed))])
    column = pa.array(passed, pa.bool_())
    decided = FirstPassing().decide(pa.table({"id": ids, "verdicts.unit_tests.passed": column}))
    assert decided["code"].to_pylist() == codes
    assert decided["keep"].to_pylist() == [code is None for code in codes]


def test_the_verifier_is_named_by_its_label() -> None:
    assert FirstPassing(of="mine").reads() == {"verdicts.mine.passed"}
