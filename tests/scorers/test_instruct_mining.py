import random

import pytest

from gristmill.scorers.instruct_mining import RULES, InstructMining, fit

V1 = ("reward", "length", "knn6")
V3 = ("reward", "understandability", "naturalness", "coherence")


@pytest.mark.parametrize(
    ("rule", "values", "log_loss", "loss"),
    [
        ("v1", (1, 200, 0.3), 0.655614, 1.92633),
        ("v1", (1, 200, 0.5), 0.468614, 1.59778),
        ("v3", (2, 0.9, 0.8, 0.7), 0.04633, 1.04742),
        ("v3", (2, 0.9, 0.95, 0.9), -0.03225, 0.96827),
    ],
)
def test_the_worked_numbers_of_the_sheet(rule, values, log_loss, loss) -> None:
    row = dict(zip(V1 if rule == "v1" else V3, values, strict=True))
    found = InstructMining(rule=rule)(row)
    assert found["log_loss"] == pytest.approx(log_loss, abs=1e-4)
    assert found["loss"] == pytest.approx(loss, abs=1e-4)
    assert found["score"] == -found["log_loss"]


@pytest.mark.parametrize(
    ("rule", "indicator", "sign"),
    [
        ("v1", "reward", 1),
        ("v1", "length", -1),
        ("v1", "knn6", 1),
        ("v3", "reward", 1),
        ("v3", "naturalness", 1),
        ("v3", "coherence", 1),
        ("v3", "understandability", -1),
    ],
)
def test_the_score_moves_the_right_way(rule, indicator, sign) -> None:
    row = dict.fromkeys(V1 if rule == "v1" else V3, 0.5)
    stage = InstructMining(rule=rule)
    assert (stage({**row, indicator: 0.9})["score"] - stage(row)["score"]) * sign > 0


def test_indicators_may_have_other_columns_bounds_and_coefficients() -> None:
    stage = InstructMining(
        columns=(("reward", "scores.reward.value"),),
        coefficients=(("intercept", 1.0), ("reward", -0.5)),
        bounds=(("reward", -1.0, 2.0),),
    )
    assert stage.reads() == {"scores.reward.value"}
    assert stage({"scores.reward.value": 1.0})["log_loss"] == 0.5
    assert stage({"scores.reward.value": 99.0})["log_loss"] == 0.0
    assert stage({"scores.reward.value": -99.0})["log_loss"] == 1.5


def test_a_missing_indicator_is_no_zero() -> None:
    row = {**dict.fromkeys(V3, 0.5), "coherence": None}
    assert InstructMining()(row) == {"score": None, "log_loss": None, "loss": None}


def test_a_fit_over_sixty_subsets_returns_the_line() -> None:
    rng, line = random.Random(0), RULES["v3"]
    means = [{name: rng.random() for name in V3} for _ in range(60)]
    losses = [line["intercept"] + sum(line[name] * mean[name] for name in V3) for mean in means]
    assert fit(means, losses) == pytest.approx(line, abs=1e-9)


def test_subsets_that_tell_nothing_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="5 subsets cannot tell 4 indicators"):
        fit([{name: i + j for j, name in enumerate(V3)} for i in range(5)], [0.0] * 5)
    with pytest.raises(ValueError, match="moves with others"):
        fit([{"a": float(i), "b": 2.0 * i} for i in range(60)], [0.0] * 60)
