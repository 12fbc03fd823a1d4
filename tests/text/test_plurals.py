from gristmill.text.plurals import counted, listed


def test_one_of_something_is_not_told_as_many() -> None:
    told = [counted(0), counted(1), counted(1, "seed"), counted(1234)]
    assert told == ["0 rows", "1 row", "1 seed", "1,234 rows"]


def test_of_a_long_list_the_first_eight_are_named() -> None:
    assert listed([]) == ""
    assert listed([*"abcdefgh"]) == "a, b, c, d, e, f, g, h"
    assert listed([*"abcdefgh"] * 126) == "a, b, c, d, e, f, g, h and 1,000 more"
