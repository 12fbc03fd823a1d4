import time

import pytest

from gristmill.text.looping import loops
from gristmill.text.structure import fold

HTML_ROW = "  <tr>\n" + "    <td>Row 1</td>\n" * 5 + "  </tr>\n"
CELLS = "| 0 | 0 | 0 | 0 |\n"


def fine(_: str) -> None:
    return None


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("a\n```html\n<b>\n```\nb", "a\nblock\nb"),
        ("a\n```html\n<b>", "a\n```html\n<b>"),
        ("a\n| x | y |\n|---|:-:|\n| 1 | 2 |\nb", "a\ntable\nb"),
        ("| x | y |\n|---|---|\n| 1 |", "| x | y |\n|---|---|\n| 1 |"),
        ("x | y\nz | w\n1 | 2", "x | y\nz | w\n1 | 2"),
        ("<UL><li class='a'>1<br></li><li>2</li></ul>.", " UL\0 ."),
        ("<ul><li>1</li><li>2", "<ul> li\0 <li>2"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
    ],
)
def test_what_is_closed_becomes_a_word_and_the_rest_stays(text, folded) -> None:
    assert fold(text, fine) == folded


@pytest.mark.parametrize(
    "text",
    [
        f"<table>\n{HTML_ROW * 30}</table>",
        f"Here it is.\n<html><body><table border='1'>{HTML_ROW * 9}</table><br></body></html>",
        f"Sure:\n```python\n{'x.append(0)' * 60}\n```\nThat is all.",
        f"| a | b | c | d |\n|---|---|---|---|\n{CELLS * 12}",
    ],
)
def test_a_table_that_repeats_itself_is_no_loop(text) -> None:
    assert loops(text) is None


@pytest.mark.parametrize(
    "text",
    [
        f"<table>\n{HTML_ROW * 30}",
        "<p>It was a dark and stormy night.</p>" * 50,
        f"<p>{'It was a dark and stormy night. ' * 50}</p>",
        f"```python\n{'x.append(0)' * 60}",
        f"| a | b | c | d |\n|---|---|---|---|\n{CELLS * 60}",
        f"| a | b | c | d |\n{CELLS * 12}",
        f"```\nx = 1\n```\n{'It was a dark and stormy night. ' * 50}",
    ],
)
def test_a_loop_that_never_closed_or_is_not_the_table_itself_is_found(text) -> None:
    assert loops(text)


@pytest.mark.parametrize(
    "piece", ["<a", "<a>", "<a b ", "<!--", "</a>", "<a-", "|-", "```\n", "\0 "]
)
def test_hostile_text_costs_little(piece) -> None:
    begin = time.perf_counter()
    fold(piece * (200_000 // len(piece)), fine)
    assert time.perf_counter() - begin < 20, "it hangs"
