"""SteloCoder: pairs that run alike, put into words, in the order of a curriculum."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from gristmill.engines.requests import Completion
from gristmill.engines.sandbox import Verdict
from gristmill.generators.stelo import Stelo
from gristmill.selectors.stelo import Stelo as Order

JS = "const n = Number(require('fs').readFileSync(0));\nconsole.log(n * {two});"
PAIR = {
    "code": JS.replace("{two}", "2"),
    "lang": "JavaScript",
    "python": "print(int(input()) * 2)\n",
    "stdin": ["3\n", "4\n"],
}
SAID = "Please turn this {program} from JavaScript into Python."


def put(ask, script, sandbox, replies, **changes):
    engine = script({"### Request": replies} if replies else {})
    return ask(Stelo(), {**PAIR, **changes}, {"generator": engine, "sandbox": sandbox})


def test_a_pair_that_prints_the_same_becomes_a_request(ask, script, sandbox) -> None:
    row = put(ask, script, sandbox, [f"\n{SAID} "])
    assert row["instruction"] == f"{SAID}\n\n```javascript\n{PAIR['code']}\n```"
    assert row["output"] == "```python\nprint(int(input()) * 2)\n```"
    assert row["verified"] is True


ODD = "const n = Number(require('fs').readFileSync(0));\nif (n % 2) console.log(n);"


def test_printing_nothing_for_an_input_is_an_answer(ask, script, sandbox) -> None:
    python = "n = int(input())\nif n % 2:\n    print(n)"
    row = put(ask, script, sandbox, [SAID], code=ODD, python=python)
    assert row["verified"] is True
    both = put(ask, script, sandbox, [], code=ODD, python="print(int(input()))")
    assert both.code == "not_parallel"
    never = put(ask, script, sandbox, [], code=ODD, python="input()")
    assert never.code == "not_parallel"
    silent = put(ask, script, sandbox, [], code="let n = 3;", python="input()")
    assert silent.code == "weak_tests"


def test_a_pair_that_nobody_can_run_is_not_called_verified(ask, script, sandbox) -> None:
    for change in ({"lang": "php"}, {"stdin": None}, {"lang": None}):
        assert put(ask, script, sandbox, [SAID], **change)["verified"] is None
    lacks = Verdict("missing_dependency", "g++")
    engine = script({"### Request": [SAID], "": [lacks] * 4})
    assert ask(Stelo(), {**PAIR, "lang": "cpp"}, engine)["verified"] is None


def test_a_language_goes_by_several_names(ask, script) -> None:
    prints = [Verdict("fail", stdout=text) for text in ("6", "8", "6", "8")]
    engine = script({"### Language\nC++\n": [SAID], "": [*prints, *[Verdict("pass")] * 2]})
    row = ask(Stelo(), {**PAIR, "lang": "C++ "}, engine)
    assert row["verified"] is True
    assert f"```cpp\n{PAIR['code']}" in row["instruction"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"python": "print(int(input()) * 3)"}, "not_parallel"),
        ({"python": "print(6"}, "not_parallel"),
        ({"python": "while True: pass"}, "not_parallel"),
        ({"code": "console.log(6)"}, "weak_tests"),
        ({"code": "console.log(Math.random())"}, "flaky"),
        ({"code": "throw 1"}, "bad_source"),
        ({"python": " \n"}, "empty_side"),
        ({"code": None}, "empty_side"),
    ],
)
def test_a_pair_that_is_none_asks_nobody(ask, script, sandbox, change, code) -> None:
    row = {**PAIR, **change}
    drop = ask(Stelo(timeout_s=1.0), row, {"generator": script({}), "sandbox": sandbox})
    assert drop.code == code
    assert code in Stelo.codes


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (" ", "empty"),
        ("Sorry, I cannot.", "no_request"),
        ("In Python:\n```python\nprint(6)\n```", "no_request"),
        ("Python " * 101, "no_request"),
        (Completion(SAID, "length", 9, 9), "cut_off"),
    ],
)
def test_a_reply_that_is_no_request_leaves(ask, script, sandbox, reply, code) -> None:
    assert put(ask, script, sandbox, [reply], stdin=None).code == code
    assert code in Stelo.codes


def test_snippets_come_before_programs_and_short_before_long() -> None:
    table = pa.table(
        {
            "id": list("abcde"),
            "lang": ["java"] * 5,
            "level": ["program", "snippet", "snippet", "poem", "program"],
            "code": ["x", "f(x) + 1", "y", "z", None],
            "python": ["x", "f(x)", "y", "z", "x"],
        }
    )
    found = Order().decide(table)
    assert found["rank"].to_pylist() == [3, 1, 0, None, 2]
    assert found["stage"].to_pylist() == [1, 0, 0, None, 1]
    assert found["length"].to_pylist() == [2, 10, 2, 2, 1]
    assert found["code"].to_pylist() == [None, None, None, "no_level", None]


def test_the_longest_of_each_language_leave() -> None:
    code = ["x " * (i + 1) for i in range(20)] + ["x " * 1000]
    table = pa.table(
        {
            "id": [f"{i:02}" for i in range(21)],
            "lang": ["JS", " JavaScript"] * 10 + ["c"],
            "level": ["snippet"] * 21,
            "code": code,
            "python": [""] * 21,
        }
    )
    found = Order().decide(table)
    assert found["id"].filter(pc.invert(found["keep"])).to_pylist() == ["19"], "one of twenty"
    assert found["detail"].to_pylist()[19] == "20 tokens, at most 19"
