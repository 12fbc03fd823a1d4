import pytest

from gristmill.filters.score_range import ScoreRange
from gristmill.pipelines import Drop


@pytest.mark.parametrize(
    ("bounds", "score", "code"),
    [
        ({"below": 1}, 0.999, None),
        ({"below": 1}, 1.0, "score_too_high"),
        ({"max": 1}, 1.0, None),
        ({"max": 1}, 1.001, "score_too_high"),
        ({"min": 0}, 0.0, None),
        ({"min": 0}, -0.1, "score_too_low"),
        ({"above": 0}, 0.0, "score_too_low"),
        ({"above": 0}, 0.1, None),
        ({"below": 1}, None, "unscored"),
        ({"below": 1, "unscored": "keep"}, None, None),
    ],
)
def test_bounds_are_inclusive_or_strict_and_a_missing_score_is_neither(bounds, score, code) -> None:
    stage = ScoreRange(of="scores.ifd.ppl", **bounds)
    assert stage.reads() == {"scores.ifd.ppl"}
    out = stage({"scores.ifd.ppl": score})
    assert (out.code if isinstance(out, Drop) else None) == code


def test_the_detail_compares() -> None:
    out = ScoreRange(of="scores.ifd.ppl", below=1)({"scores.ifd.ppl": 1.25})
    assert out == Drop("score_too_high", "1.25 >= 1")
