import pytest

from gristmill.text.rewrites import REWRITE_FLAWS, rewrite_flaw

RIVER = "Name a river in Europe."


@pytest.mark.parametrize(
    ("child", "code"),
    [
        ("Name a river in Europe that crosses three borders and list them all.", None),
        ("name a river, in EUROPE", "no_gain"),
        ("### New version: name two rivers", "template_leak"),
        ("Name {text} twice.", "template_leak"),
        ("I cannot assist with that.", "refusal"),
        ("Sure, here it is: name two.", "answered"),
        ("A new version of a river", None),
    ],
)
def test_the_first_flaw_of_a_rewrite_is_named(child, code) -> None:
    found = rewrite_flaw(child, RIVER, {"New version:", "{text}"} if code else {"Never said"})
    assert (found and found[0]) == code
    assert code is None or code in REWRITE_FLAWS
