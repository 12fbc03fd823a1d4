from gristmill.text.plurals import counted


def test_one_of_something_is_not_told_as_many() -> None:
    told = [counted(0), counted(1), counted(1, "seed"), counted(1234)]
    assert told == ["0 rows", "1 row", "1 seed", "1,234 rows"]
