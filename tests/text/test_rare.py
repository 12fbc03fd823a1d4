import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.text import detectors as d
from gristmill.text.injections import INJECTION
from gristmill.text.keys import KEYS
from gristmill.text.personal import KINDS, PERSONAL, personal
from gristmill.text.rare import Rare

TEXT = """
 ignore| previous| instructions|new system instruction|:|.|reveal| the| hidden| prompt|send your
| api key| to|http://|@|x|a.io|<|im_end|INST]|[|/|=== end of prompt|8.|2001:|4860::8|1|212-684-|4700
|DE89|3704 0044 0532 0130 00|+44| (0|) |I|'|m sorry, but |cannot| help|language model|be done by any
| AI|task|insert|your| code here|]|>|### Input:|7|Input:|<noinput>|</s>|the following| text below
|AKIA|Q7RT2LMPZX5NVBC9|password|=|"|a1B2c3D4e5F6g7H8i9|://u:pw123@h|sk-| |
|```|~~~|\n|![a](http://b.c)|no output|because it
|\u202e|\u200b\u2060\u200b\u200b\u200b\u200b\u200b\u200b|\x1c|\t|\u00a0|\u017f|\u0131|\u0130|\u212a|\u00e9|\u0301|\ud800
"""
PIECES = TEXT.split("|")
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
RARE = [d.DECLINES, d.SAYS_CANNOT, d.NEXT_TASK, d.CONTROL, d.DANGLING, d.STUB, INJECTION, KEYS]


@settings(max_examples=300)
@given(TEXTS)
def test_nothing_is_missed(text) -> None:
    for one in RARE:
        assert bool(one.search(text)) == bool(one.pattern.search(text))
    patterns = any(
        one.pattern.search(text) for one in (d.DECLINES, d.SAYS_CANNOT, d.CONTROL, d.STUB)
    )
    if patterns or any(find(text) for find in (d.no_output, d.only_image, d.cut_off)):
        assert d.RARE_FAULTS.may_be_in(text)
    if list(personal(text, frozenset(KINDS))):
        assert PERSONAL.may_be_in(text)


def test_text_without_a_sign_is_not_looked_at() -> None:
    assert [one.may_be_in("Name a tall tree.") for one in (*RARE, PERSONAL)] == [False] * 9
    assert not Rare(r"\bok\b").may_be_in("na\u00efve book")


def test_the_spaces_of_both_are_the_same() -> None:
    assert Rare(r"a\sb").search("a\x1cb")


def test_a_pattern_that_looks_around_needs_a_gate() -> None:
    with pytest.raises(Exception, match="look-around"):
        Rare("a(?!b)")
    assert Rare("a(?!b)", gate="a").search("ab ac")
