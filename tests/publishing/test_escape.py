import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.publishing.escape import code_span, line, markup, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;new title\x07rest", "rest"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jgone", "gone"),
        ("photo\u202egnp.exe", "photognp.exe"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("nul\x00bell\x07back\x08", "nulbellback"),
        ("hidden\U000e0041\U000e0042", "hidden"),
        ("half \ud800 pair", "half \ufffd pair"),
        ("عربى 한국어 👩\u200d🔬", "عربى 한국어 👩\u200d🔬"),
    ],
)
def test_what_a_terminal_would_act_on_is_taken_out(text, shown) -> None:
    assert printable(text) == shown


@given(st.text(alphabet="\x1b[]01;mPX\\\x07\x9b\x9dab\u202e\ud800\r\n "))
def test_no_sequence_survives_being_taken_apart(text) -> None:
    shown = printable(text)
    assert not set(shown) & set("\x1b\x9b\x9d\x07\r\u202e\ud800")
    assert printable(shown) == shown


def test_a_line_is_cut_and_says_so() -> None:
    assert line("one\n two  three", 8) == "one two…"
    assert line("one two", 7) == "one two"


def test_rich_does_not_see_a_tag() -> None:
    from rich.text import Text

    assert Text.from_markup(markup("[red]a[/] [link=x]b\\[b]")).plain == "[red]a[/] [link=x]b\\[b]"


def test_a_code_span_holds_backticks_pipes_and_tags() -> None:
    assert code_span("a|b") == "`a\\|b`"
    assert code_span("`x``y") == "``` `x``y ```"
    assert code_span("<b>\n</td>") == "`<b> </td>`"
    assert code_span(" \x00 ") == ""
