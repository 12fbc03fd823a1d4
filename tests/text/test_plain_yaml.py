import sys
import time

import pytest

from gristmill.errors import RecipeError
from gristmill.text.plain_yaml import MAX_CHARS, parse


def refused(text: str) -> str:
    started = time.monotonic()
    with pytest.raises(RecipeError) as caught:
        parse(text, "r.yaml")
    assert time.monotonic() - started < 20, "refused too slowly"
    assert str(caught.value).startswith("r.yaml")
    return str(caught.value)


def test_plain_data_comes_back() -> None:
    text = "a: &x {b: [1, 2.5, null]}\nc: *x\nd: 4_000_000\ne: é"
    inner = {"b": [1, 2.5, None]}
    assert parse(text, "r.yaml") == {"a": inner, "c": inner, "d": 4_000_000, "e": "é"}


def test_an_empty_text_is_none() -> None:
    assert parse("# nothing\n", "r.yaml") is None


def test_merge_keys_may_override() -> None:
    assert parse("a: &x {k: 1}\nb: {<<: *x, k: 2}", "r.yaml")["b"] == {"k": 2}


def test_a_billion_laughs_are_refused() -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    assert "YAML bomb" in refused("\n".join(lines))


def test_an_alias_of_itself_is_refused() -> None:
    assert "contains itself" in refused("a: &a [*a]")


@pytest.mark.parametrize("limit", [sys.getrecursionlimit(), 20_000])
def test_depth_is_bounded_whatever_limit_a_package_has_set(limit: int) -> None:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        assert "nested too deeply" in refused("[" * 5000)
    finally:
        sys.setrecursionlimit(before)


def test_length_is_bounded() -> None:
    assert "at most" in refused("#" * (MAX_CHARS + 1))


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system ['true']", "!!python/object:os.Thing {}", "!mine 3"]
)
def test_objects_are_refused(tag: str) -> None:
    message = refused(f"name: x\nvalue: {tag}\n")
    assert "line 2" in message
    assert "remove the tag" in message


def test_whole_numbers_have_at_most_64_bits() -> None:
    most = 2**63 - 1
    assert parse(f"[{most}, -{most + 1}, 0x10]", "r.yaml") == [most, -most - 1, 16]
    for text in (str(most + 1), str(-most - 2), "0x" + "f" * 16, "9" * 23):
        message = refused(f"name: x\nseed: {text}")
        assert f"line 2, column 7: {text} has more than 64 bits" in message


def test_a_key_that_stands_twice_is_refused() -> None:
    message = refused("name: x\nstages: []\nname: y\n")
    assert "'name' stands twice" in message
    assert "line 3" in message


def test_a_syntax_error_names_its_line() -> None:
    assert "line 3" in refused("name: x\nstages: [a\nb: {")


def test_an_impossible_date_is_refused() -> None:
    assert "month" in refused("a: 2024-13-40")
