import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.text import rouge
from gristmill.text.rouge import common_length, rouge_l
from gristmill.text.words import words

TOKENS = st.lists(st.sampled_from("abcd"), max_size=12)


def slow(a: list[str], b: list[str]) -> int:
    """The definition: drop the last of either side, or match them."""
    if not a or not b:
        return 0
    if a[-1] == b[-1]:
        return slow(a[:-1], b[:-1]) + 1
    best = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, left in enumerate(a, 1):
        for j, right in enumerate(b, 1):
            best[i][j] = (
                best[i - 1][j - 1] + 1 if left == right else max(best[i - 1][j], best[i][j - 1])
            )
    return best[-1][-1]


@given(TOKENS, TOKENS)
def test_it_agrees_with_the_plain_table(a, b) -> None:
    assert common_length(a, b) == slow(a, b) == common_length(b, a)


def test_a_long_common_subsequence_crosses_machine_words() -> None:
    a = [str(i) for i in range(500)]
    assert common_length(a, [x for x in a if int(x) % 3]) == 333
    assert common_length(a, a[::-1]) == 1


def test_of_books_all_that_is_equal_counts_and_the_beginning_of_the_rest() -> None:
    book = [f"w{i}" for i in range(30_000)]
    edited = [*book[:9_000], "new", *book[9_001:]]
    assert common_length(book, edited) == common_length(edited, book) == 29_999
    torn = [*book[:9_000], "new", *book[9_001:28_000], "newer", *book[28_001:]]
    assert common_length(book, torn) == 9_000 + 9_999 + 1_999  # 18,999 of 29,998 at least
    assert common_length(["a"] * 5_000_000, ["a"] * 4_999_999) == 4_999_999


def test_the_f_measure_by_hand() -> None:
    # common: the cat sat = 3 of 4 and of 5 words; P = 3/5, R = 3/4, F = 2/3
    assert rouge_l("The cat sat down", "the cat, quietly: SAT there") == pytest.approx(2 * 3 / 9)
    assert rouge_l("same words", "Same words!") == 1.0
    assert rouge_l("", "a") == rouge_l("", "") == rouge_l("a", "b") == 0.0


def test_ten_new_words_are_a_gain_at_any_length() -> None:
    parent = " ".join(f"w{i}" for i in range(200))
    new = " ".join(f"n{i}" for i in range(10))

    def repeats(child: str, parent: str) -> bool:
        return rouge.repeats(words(child), words(parent))

    assert repeats(f"{parent} n1 n2", parent)
    assert repeats(f"{parent} {new[:-3]}", parent)  # nine words
    assert not repeats(f"{parent} {new}", parent)
    assert not repeats("w0 w1 n0", "w0 w1 w2")  # F = 2/3
    assert repeats("a b c d e f g h i x y", "a b c d e f g h i")  # F = 18/20 = 0.9
    assert not repeats("a b c d e f g h x y", "a b c d e f g h")  # F = 16/18 = 0.889
    assert repeats("Name a RIVER", "name a river.")
    assert repeats("...", "?!")
