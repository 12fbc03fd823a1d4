import pytest

from gristmill.text.fences import Fence, fenced, fences, language_of, python_code


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


DOCUMENTED = '''def f():
    """Say how:

    ```
    f()
    ```
    """'''


def test_ticks_inside_the_code_s_own_indent_close_nothing() -> None:
    assert python_code(f"So:\n```python\n{DOCUMENTED}\n```\nThat is it.") == DOCUMENTED
    assert python_code("```python\nx = 1\n  ``` \t\n") == "x = 1"
    assert python_code("```python\nx = 1\n\t```") is None


def test_a_block_in_a_list_loses_the_indent_of_its_opening() -> None:
    text = "1. So:\n   ```python\n   if x:\n       y()\n  z()\n\n   ```"
    assert python_code(text) == "if x:\n    y()\nz()\n"


@pytest.mark.parametrize(
    "code", ["x", "", "a = '''\n```\n'''", "````\n```", "  `````py\nx", "~~~\n~~~", DOCUMENTED]
)
def test_what_is_fenced_is_read_back_whatever_its_ticks(code: str) -> None:
    assert python_code(f"Before.\n\n{fenced(code)}\n\nAfter.") == code
    assert fenced("x", "cpp") == "```cpp\nx\n```"


def test_a_language_goes_by_several_names() -> None:
    names = ("C++ ", " JS", "c#", "SystemVerilog", "py", "Rust", "")
    usual = ["cpp", "javascript", "csharp", "verilog", "python", "rust", ""]
    assert [language_of(name) for name in names] == usual
