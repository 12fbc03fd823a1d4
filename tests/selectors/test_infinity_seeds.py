import pyarrow as pa
import pytest

from gristmill.selectors.infinity_seeds import InfinitySeeds


def decided(stage, labels, **losses):
    table = {"id": [f"{i:05}" for i in range(len(labels))], "labels": pa.array(labels)}
    table |= {name: pa.array(values, pa.float64()) for name, values in losses.items()}
    return stage.decide(pa.table(table)).to_pylist()


@pytest.mark.parametrize(
    ("n", "least", "most"),
    [(19, 0, 0), (20, 20, 20), (200, 200, 200), (201, 40, 95), (500, 130, 205), (501, 0, 0)],
)
def test_the_worked_frequencies_of_the_sheet(n, least, most) -> None:
    lines = decided(InfinitySeeds(loss=None), [["a"]] * n)
    assert least <= sum(line["keep"] for line in lines) <= most
    assert {line["code"] for line in lines if not line["keep"]} <= {"not_informative"}


def test_frequencies_of_10_50_300_and_900_keep_none_all_a_third_and_none() -> None:
    labels = [
        [name] for name, n in {"a": 10, "b": 50, "c": 300, "d": 900}.items() for _ in range(n)
    ]
    kept = [line["keep"] for line in decided(InfinitySeeds(loss=None), labels)]
    shares = [sum(kept[i:j]) / (j - i) for i, j in ((0, 10), (10, 60), (60, 360), (360, 1260))]
    assert (shares[0], shares[1], shares[3]) == (0, 1, 0)
    assert shares[2] == pytest.approx(1 / 3, abs=0.08)


def test_a_row_of_a_frequent_label_stays_for_its_rare_one() -> None:
    labels = [["d", "b"]] * 50 + [["d"]] * 850
    kept = [line["keep"] for line in decided(InfinitySeeds(loss=None), labels)]
    assert kept == [True] * 50 + [False] * 850


def test_a_row_drawn_once_stays_drawn_when_the_label_grows() -> None:
    small = decided(InfinitySeeds(loss=None), [["a"]] * 210)
    large = decided(InfinitySeeds(loss=None), [["a"]] * 480)
    assert [x["keep"] for x in small] == [x["keep"] for x in large[:210]]


def test_a_loss_that_falls_too_far_excludes_a_row_whatever_its_reasons() -> None:
    stage = InfinitySeeds(loss="b", after="a", several=1)
    lines = decided(stage, [["x"], ["x"], ["x"]], b=[2.0, 2.0, None], a=[0.4, 1.0, 0.1])
    assert [line["code"] for line in lines] == ["soon_learned", None, None]
    assert lines[0]["detail"] == "1.6 > 1"


def test_every_reason_is_told_and_more_reasons_come_first() -> None:
    stage = InfinitySeeds(loss="b", rare=(2, 3), several=2, loss_quantile=0.7)
    labels = [
        ["r", "s"],
        ["r"],
        ["common"],
        ["common"],
        ["common"],
        ["common"],
        ["r", "t", "t"],
        [],
    ]
    lines = decided(stage, labels, b=[0.1, 0.2, 0.3, 9.0, 0.1, 0.1, 8.0, 7.0])
    assert [line["reasons"] for line in lines] == [
        ["long_tail", "several_labels"], ["long_tail"], [], ["high_loss"], [], [],
        ["long_tail", "several_labels", "high_loss"], ["high_loss"],
    ]  # fmt: skip
    assert [line["rank"] for line in lines] == [1, 4, None, 2, None, None, 0, 3]
    assert lines[2]["code"] == "not_informative"


def test_a_label_counts_once_per_row() -> None:
    lines = decided(InfinitySeeds(loss=None, rare=(2, 9)), [["a", "a"], ["b"], ["b"]])
    assert [line["keep"] for line in lines] == [False, True, True]


def test_the_worked_losses_and_depth_of_the_subject_sheet() -> None:
    losses = [1.0, 1.1, 0.9, 1.0, 1.2, 0.8, 1.0, 1.05, 0.95, 3.0]  # bound 2.393
    lines = decided(InfinitySeeds(loss="b", deviations=1.96), [[]] * 10, b=losses)
    assert [line["reasons"] for line in lines] == [[]] * 9 + [["high_loss"]]
    # mean 1.2, population deviation 0.6087: 3.0 is 2.957 of them above it
    for deviations, reasons in ((2.95, ["high_loss"]), (2.96, [])):
        stage = InfinitySeeds(loss="b", deviations=deviations)
        assert decided(stage, [[]] * 10, b=losses)[9]["reasons"] == reasons
    near = [*losses[:9], 2.9]  # bound 2.32; and just below theirs
    assert decided(InfinitySeeds(loss="b", deviations=3.1), [[]] * 10, b=near)[9]["reasons"] == []
    lines = decided(InfinitySeeds(loss="b"), [[*"abcdef"], ["a"], []], b=[1.8, 9.0, 1.0])
    assert lines[0]["depth"] == pytest.approx(3.2252, abs=1e-4)
    assert [line["depth"] for line in lines[1:]] == [0.0, None]


def test_rows_whose_loss_falls_least_are_hard_to_follow() -> None:
    stage = InfinitySeeds(loss="b", after="a", hardest=2, loss_quantile=1.0)
    lines = decided(stage, [[]] * 4, b=[1.0, 1.0, 1.0, 2.0], a=[0.5, 1.1, 0.8, None])
    assert [line["reasons"] for line in lines[:3]] == [[], ["hard_to_follow"], ["hard_to_follow"]]


def test_a_row_is_drawn_by_its_root_so_that_every_round_draws_the_same() -> None:
    ids = [f"{i:05}" for i in range(300)]
    first = pa.table({"id": ids, "root": ids, "labels": [["a"]] * 300})
    again = first.set_column(0, "id", [[f"x{i}" for i in reversed(ids)]])
    stage = InfinitySeeds(loss=None)
    kept = [row["keep"] for row in stage.decide(first).to_pylist()]
    assert kept == [row["keep"] for row in stage.decide(again).to_pylist()]
    assert kept == [row["keep"] for row in stage.decide(first.drop_columns("root")).to_pylist()]
    assert 0 < sum(kept) < 300
