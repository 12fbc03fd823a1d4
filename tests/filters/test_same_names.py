import pyarrow as pa

from gristmill.filters.same_names import SameNames


def details(*outputs: str | None) -> list[str | None]:
    ids = [f"r{i}" for i in range(len(outputs))]
    table = pa.table({"id": ids, "output": pa.array(outputs, pa.string())})
    lines = SameNames().decide(table)
    assert [not keep for keep in lines["keep"].to_pylist()] == [
        code == "same_names" for code in lines["code"].to_pylist()
    ]
    found: list[str | None] = lines["detail"].to_pylist()
    return found


def fenced(code: str) -> str:
    return f"Like this.\n\n```python\n{code}\n```\n"


def test_a_set_of_function_names_comes_once_whatever_their_order_case_and_underscores() -> None:
    both = "def add_all(a):\n    return a\n\nasync def Mul(a):\n    return a"
    other = "def mul(b):\n    return b\n\ndef addAll(b):\n    return b"
    more = f"{other}\n\ndef sub(b):\n    return b"
    assert details(fenced(both), fenced(other), fenced(more), other) == [
        None,
        "addall, mul of r0",
        None,
        "addall, mul of r0",
    ]


def test_classes_are_compared_apart_from_functions() -> None:
    stack = "class Stack:\n    def push(self, x):\n        self.x = x"
    assert details(
        fenced(stack),
        fenced(f"{stack}\n\ndef demo(x):\n    return x"),
        fenced("def stack(x):\n    return x"),
        fenced("class Queue:\n    def push(self, x):\n        self.x = x"),
    ) == [None, "stack of r0", None, None]


def test_a_row_that_leaves_takes_no_names() -> None:
    assert details(
        fenced("def f(x):\n    return x"),
        fenced("class A:\n    pass\n\ndef f(x):\n    return x"),
        fenced("class A:\n    pass"),
    ) == [None, "f of r0", None]


def test_a_row_without_names_is_like_no_other() -> None:
    assert details(fenced("print(1)"), fenced("print(1)"), "No def here.", None, None) == [None] * 5
    assert details() == []
