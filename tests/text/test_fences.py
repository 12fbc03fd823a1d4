import pytest

from gristmill.text.fences import Fence, fences, python_code


def test_a_longer_fence_holds_a_shorter_one() -> None:
    assert fences("a\n````md\n```\nx\n```\n````\nb") == [Fence("md", "```\nx\n```")]


@pytest.mark.parametrize("text", ["```python\nx = 1", "```\nx\n~~~", "````\nx\n```"])
def test_a_fence_without_its_own_close_is_a_failure(text: str) -> None:
    assert fences(text) is None
    assert python_code(text) is None


def test_python_blocks_are_joined_and_other_languages_left_out() -> None:
    text = "~~~py\na = 1\n~~~\n```text\nno\n```\nand\n``` Python title=x\nb = 2\n```"
    assert python_code(text) == "a = 1\n\nb = 2"


def test_no_fence_is_no_code() -> None:
    assert fences("x = 1") == []
    assert python_code("x = 1") is None
    assert python_code("```js\nx\n```") is None


def test_inline_backticks_open_nothing() -> None:
    assert fences("``` not `a` fence\nx") == []


def test_only_line_feeds_end_a_line() -> None:
    assert python_code("```python\r\nx = 'a\u2028b\x0c'\r\n```\r\n") == "x = 'a\u2028b\x0c'"
