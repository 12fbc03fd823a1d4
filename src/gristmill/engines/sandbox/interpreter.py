"""Inside the sandbox: cells that share one module and are run one after the other.

Nothing is compared here and no expected value was ever sent, so the process that runs a cell also
compiles it. What it says about a cell is what the program says: as much worth as what it prints.
"""

import _ast as ast
import posix
import sys
from _json import encode_basestring_ascii as quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    Told = tuple[str | None, str | None, str]

ONLY_TREE = 0x400
MAX_VALUE, MAX_ERROR = 4000, 2000
"""Characters that are kept: the beginning of a value, the end of a traceback."""


def converse(cells: "list[tuple[int, str]]", fd: int, emit: "Callable[..., None]") -> "NoReturn":
    """Run each cell when the other side of `fd` gives the word, and say what came of it.

    A child that a cell forked ends where its cell does. After the last one it waits to be killed.
    """
    module = type(sys)("__main__")
    sys.modules["__main__"] = module
    module.__dict__["__builtins__"] = __builtins__
    sys.argv[:] = ["cells"]
    here, pid = posix.getpid(), posix.getpid
    streams = (sys.stdout, sys.stderr)
    names = {f"<cell {number}>": text for number, text in cells}
    emit('"ready"')
    try:
        for i, name in enumerate(names):
            posix.read(fd, 1)
            value, error, missing = run_cell(name, names, module.__dict__)
            flush(*streams, sys.stdout, sys.stderr)
            if pid() != here:
                break
            emit('"cell"', str(i), quoted(value), quoted(error), quote(missing))
        else:
            posix.read(fd, 1)
    finally:
        posix._exit(0)  # also where the cell closed the descriptor: nothing can be said any more


def run_cell(name: str, texts: dict[str, str], space: "dict[str, Any]") -> "Told":
    """Return the text of the last expression's value, the traceback, the module that is missing."""
    try:
        found = evaluate(texts[name], name, space)
        return None if found is None else cut(repr(found)), None, ""
    except BaseException as error:  # noqa: BLE001 - also SystemExit: the session goes on
        missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
        return None, describe(error, texts), str(missing or "")


def evaluate(text: str, name: str, space: "dict[str, Any]") -> "Any":
    """Run a cell; return the value of its last statement if that is an expression, else None."""
    tree: Any = compile(text, name, "exec", ONLY_TREE, True)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec", 0, True), space)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), name, "eval", 0, True), space)


def describe(error: BaseException, texts: dict[str, str]) -> str:
    """Return the end of the traceback, without the lines of this file."""
    try:
        from linecache import cache
        from traceback import format_exception

        for name, text in texts.items():
            cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        trace = error.__traceback__
        while trace and trace.tb_frame.f_code.co_filename == "interpreter.py":
            trace = trace.tb_next
        return "".join(format_exception(type(error), error, trace)).strip()[-MAX_ERROR:]
    except BaseException:  # noqa: BLE001 - the cell may have replaced any of it
        return type(error).__name__


def cut(text: str) -> str:
    """Return the beginning of a text; what was left out is marked."""
    return text if len(text) <= MAX_VALUE else str.__getitem__(text, slice(MAX_VALUE)) + "..."


def quoted(text: str | None) -> str:
    """Return a text, or none, as JSON."""
    return "null" if text is None else quote(text)


def flush(*streams: "Any") -> None:
    """Write out what was printed, wherever the cell may have led it."""
    for stream in streams:
        try:
            stream.flush()
        except BaseException:  # noqa: BLE001 - closed, or replaced by the cell
            continue
