import pytest

from gristmill.text.same_code import MIN_TOKENS, Solutions, is_evidence, lex

MERGE = """def merge(pairs):
    merged = []
    for low, high in sorted(pairs):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged
"""


@pytest.fixture
def known() -> Solutions:
    solutions = Solutions()
    solutions.add(7, MERGE)
    return solutions


@pytest.mark.parametrize(
    "copy",
    [
        MERGE,
        MERGE.replace("    ", "\t").replace("\n", "\r\n"),
        MERGE.replace("merged = []", 'merged = []  # start with "nothing"'),
        MERGE.replace("    merged = []", '    """Join what overlaps."""\n    merged = []'),
        MERGE.replace("merged", "out").replace("low", "a").replace("high", "b"),
        f"It's easy:\n```python\nimport re\n{MERGE}\n```\nDon't forget to test it.",
    ],
    ids=["same", "layout", "comment", "docstring", "names", "prose"],
)
def test_a_copy_is_found(known, copy) -> None:
    assert known.find(copy) == (7, " ".join(lex(copy[copy.index("def") :]).texts[:MIN_TOKENS]))


@pytest.mark.parametrize(
    "other",
    [
        MERGE.replace("max", "min"),
        MERGE.replace("<=", "<"),
        MERGE.replace("[-1][1]:", "[-2][1]:"),
        MERGE.replace("merged.append", "merged.insert"),
        MERGE.replace("return merged", "return pairs"),
        MERGE.replace("(low, high)", "(low, low)"),
        MERGE.replace("low", "high"),
        MERGE[: MERGE.index("return")],
        "",
    ],
    ids=["built in", "sign", "number", "method", "name", "names", "one name", "half", "empty"],
)
def test_another_program_is_not_found(known, other) -> None:
    assert known.find(other) is None


def test_what_everybody_writes_is_no_evidence() -> None:
    assert is_evidence(MERGE)
    assert not is_evidence("def mean(numbers):\n    return sum(numbers) / len(numbers)")
    assert is_evidence("a " * MIN_TOKENS)
    assert not is_evidence("a " * (MIN_TOKENS - 1))


def test_kinds_of_quotes_are_one_kind() -> None:
    assert lex('x = "a"').texts == lex("x = 'a'").texts == ["x", "=", "'a'"]


def test_a_text_without_what_all_solutions_have_is_not_looked_at(known) -> None:
    assert {"def", "(", ")", ":", "return"} <= known.marks
    known.add(8, "x = [" + "1, " * 30 + "]")
    assert known.marks == {"=", "[", "]", "1", ","}
    assert known.find(MERGE)[0] == 7
    assert known.find("y=[" + "1," * 30 + "]")[0] == 8
    assert Solutions().find(MERGE) is None
