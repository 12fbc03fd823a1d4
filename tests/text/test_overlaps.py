import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.text.overlaps import CHARS, HIT, Overlaps, Protected
from gristmill.text.words import words

GEESE = (
    "Mina keeps seven grey geese and eleven white ducks behind the old mill. "
    "How many birds does she keep in all?"
)
ANSWER = "First add the seven geese to the eleven ducks, then say that there are eighteen birds."


def index(*rows: Protected, methods=("words",), ngram=13) -> Overlaps:
    rows = rows or (Protected("farm", "1", GEESE, ANSWER),)
    return Overlaps(rows, methods, ngram)


def test_a_run_of_words_is_found_inside_a_text_whatever_its_case_and_marks() -> None:
    text = "Solve: " + GEESE.upper().replace(".", " -")
    hit = index().find(text)
    assert (hit.benchmark, hit.row, hit.method) == ("farm", "1", "words")
    assert hit.shared == "mina keeps seven grey geese and eleven white ducks behind the old mill"


def test_a_run_must_be_as_long_as_asked_for() -> None:
    twelve = " ".join(words(GEESE)[:12])
    assert index().find(twelve) is None
    assert index(ngram=12).find(twelve).shared == twelve
    assert index().find(twelve + " mill")


@given(st.lists(st.sampled_from("abc"), max_size=30), st.lists(st.sampled_from("abc"), max_size=12))
def test_what_is_found_by_words_is_what_every_place_shows(said, asked) -> None:
    known = index(Protected("farm", "1", " ".join(asked)), ngram=9)
    runs = [asked[i : i + 9] for i in range(len(asked) - 8)] or [asked] * bool(asked)
    n = len(runs[0]) if runs else 0
    places = [said[i : i + n] for i in range(len(said) - n + 1)] if n >= 8 else [said]
    assert bool(known.find(" ".join(said))) == any(run in places for run in runs)


def test_an_answer_is_protected_but_the_words_of_a_program_are_not() -> None:
    assert index().find("So: " + ANSWER).method == "words"
    program = Protected("farm", "2", "Do it.", ANSWER, is_code=True)
    assert index(program).find(ANSWER) is None


def test_letters_are_found_whatever_stands_between_them() -> None:
    torn = GEESE[:80].replace(" ", "\n- ").replace("ducks", "du-cks")
    assert index().find(torn) is None
    assert index(methods=("chars",)).find(torn).method == "chars"
    letters = "".join(filter(str.isalnum, GEESE))
    assert index(methods=("chars",)).find(letters[: CHARS - 1]) is None


def test_a_question_shorter_than_a_run_counts_as_a_whole() -> None:
    short = Protected("farm", "s", "How many eggs do nine hens lay daily?")
    assert index(short).find("Please tell me: how many eggs do nine hens lay daily, roughly?")
    assert index(short).find("How many eggs do nine hens lay weekly?") is None
    assert index(short).find("How many eggs do nine hens lay dailyish?") is None


def test_a_very_short_question_counts_where_nothing_else_is_said() -> None:
    tiny = Protected("farm", "t", "Count every vowel.")
    assert index(tiny).find("count every vowel!").shared == "count every vowel"
    assert index(tiny).find("Count every vowel, then stop.") is None
    assert index(Protected("farm", "a", "1 + 1 = ?", "B")).find("B") is None
    assert index(Protected("farm", "a", "1 + 1 = ?", "B")).find("1 1") is None


def test_the_phrase_of_a_template_is_no_evidence() -> None:
    rows = [Protected("farm", str(i), f"{GEESE} Case {i}.") for i in range(11)]
    assert index(*rows[:10]).find(GEESE).row == "0"
    assert index(*rows).find(GEESE) is None


def test_numbers_in_a_row_are_nobodys_question() -> None:
    numbers = " ".join(map(str, range(1, 40)))
    assert index(Protected("farm", "n", numbers)).find(numbers) is None


def test_the_text_of_a_hit_can_be_read_again() -> None:
    found = HIT.match(str(index().find(GEESE)))
    assert found.groupdict() == {"benchmark": "farm", "method": "words"}


@given(
    st.lists(st.sampled_from(["ab", "cd", "ef", "gh", "ij"]), max_size=30),
    st.lists(st.sampled_from(["ab", "cd", "ef", "gh", "ij"]), min_size=5, max_size=20),
)
def test_a_hit_is_a_shared_run_and_no_other_text_has_one(said, known) -> None:
    runs = {" ".join(known[i : i + 5]) for i in range(len(known) - 4)}
    shared = any(" ".join(said[i : i + 5]) in runs for i in range(len(said) - 4))
    assert (
        index(Protected("x", "1", " ".join(known)), ngram=5).find(" ".join(said)) is not None
    ) == shared


@pytest.mark.parametrize("text", ["", " ", "\U0001f600" * 60, "a", "\u2028\r\n"])
def test_text_that_says_little_shares_nothing(text) -> None:
    assert index(methods=("words", "chars", "solutions")).find(text) is None
