import pyarrow as pa
import pytest

from gristmill.scorers.mftcoder import Mftcoder, token_weights

TASKS, LENGTHS, LOSSES = ["A", "A", "B"], [100, 300, 50], [1, 2, 4]


@pytest.mark.parametrize(
    ("balance", "weights", "shares", "loss"),
    [
        ("token", (0.002222, 0.002222, 0.002222), (0.222222, 0.666667, 0.111111), 2.0),
        ("row", (0.003333, 0.001111, 0.006667), (0.333333, 0.333333, 0.333333), 2.33333),
        ("task_token", (0.00125, 0.00125, 0.01), (0.125, 0.375, 0.5), 2.875),
        ("task_row", (0.0025, 0.000833, 0.01), (0.25, 0.25, 0.5), 2.75),
    ],
)
def test_the_worked_numbers_of_the_sheet(balance, weights, shares, loss) -> None:
    found = token_weights(TASKS, LENGTHS, balance)
    assert found == pytest.approx(weights, abs=1e-6)
    parts = [weight * length for weight, length in zip(found, LENGTHS, strict=True)]
    assert parts == pytest.approx(shares, abs=1e-6)
    assert sum(parts) == pytest.approx(1)
    whole = sum(part * of_row for part, of_row in zip(parts, LOSSES, strict=True))
    assert whole == pytest.approx(loss, abs=1e-4)


def weigh(stage: Mftcoder, tasks: list[str | None], lengths: list[int | None]) -> list[dict]:
    ids = [f"row{i}" for i in range(len(tasks))]
    columns = {"id": ids, "source": tasks, "scores.perplexity.n_scored": lengths}
    return stage.decide(pa.table(columns)).to_pylist()


def test_weights_have_a_mean_of_one_per_token_and_keep_every_row() -> None:
    found = weigh(Mftcoder(), TASKS, [length - 1 for length in LENGTHS])  # type: ignore[arg-type]
    assert [line["token"] for line in found] == pytest.approx([0.5625, 0.5625, 4.5])
    assert [line["share"] for line in found] == pytest.approx([0.125, 0.375, 0.5])
    assert all(line["keep"] for line in found)


def test_a_tiny_task_weighs_ten_times_the_mean_at_most() -> None:
    found = weigh(Mftcoder(), ["A", "B"], [10_000, 3])
    assert found[1]["token"] == 10.0
    assert found[1]["share"] == pytest.approx(0.5)


def test_a_row_without_task_or_tokens_has_no_weight_and_changes_none() -> None:
    found = weigh(Mftcoder(), ["A", None, "A"], [9, 9, None])
    assert [line["token"] for line in found] == [1.0, None, None]
    assert weigh(Mftcoder(), [], []) == []
