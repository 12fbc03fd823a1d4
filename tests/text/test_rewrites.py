import pytest

from gristmill.text.rewrites import REWRITE_FLAWS, listed, rewrite_flaw

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


def test_items_of_a_list_are_new_in_order_or_say_why_not() -> None:
    shown = ["Name three rivers of Spain."]
    reply = "1. Name three rivers of Spain!\n2. Is 91 a prime?\n3. {skill}\n4. Add 7 and 8.\n5. Wh"
    found = listed(reply, shown, {"{skill}"}, 3, is_cut=True)
    flaws = ["copied_example", "", "template_leak", "over_limit", "cut_off"]
    assert [flaw for flaw, _ in found] == flaws
    assert found[1] == ("", "Is 91 a prime?")
    assert [text for _, text in found[3:]] == ["Add 7 and 8.", "Wh"]
    assert listed("None.", shown, (), 3, is_cut=True) == [("no_list", "None.")]
