"""Inside the sandbox: set limits, let a child parse, then run the program and send frames.

The only file of the package that is run as a script. It imports built-in modules alone, because
every run pays for its imports. Another process parses the tests and sends the expected values
out; the one in which the program then runs never held them, and no frame of it is believed.
"""

import atexit
import builtins
import marshal
import posix
import resource
import sys
from _json import encode_basestring_ascii as quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    Emit = Callable[..., None]
    Space = dict[str, Any]

FRAMES, NONCE = 3, 32
MAX_DEPTH, MAX_MESSAGE = 64, 2000
TOOLS: "list[Space]" = []
"""In a warm interpreter what tests of asserts call, taken out before a program runs; else empty."""
# CORE is 1, not 0: with 0 a piped core pattern would still start the host's handler.
SIZES = {"FSIZE": 16 << 20, "STACK": 64 << 20, "NOFILE": 64, "CORE": 1}
SIZES |= dict.fromkeys(("MEMLOCK", "MSGQUEUE"), 0) | {"SIGPENDING": 64}
BASES = (bool, int, float, str, bytes, complex, list, tuple, set, frozenset, dict)


def main(numbers: list[int], driver: str) -> "NoReturn":
    """Run one job. Descriptors 0, 1, 2 and FRAMES are all that the program finds open."""
    job_fd, frames_fd, *limits = numbers
    lower(SIZES)
    limit(*limits)
    reader, writer = posix.pipe()
    child = posix.fork()
    if not child:
        posix.close(reader)
        sys.path.insert(0, driver)
        with open(writer, "wb") as pipe:  # noqa: PTH123 - it is a descriptor
            pipe.write(parse(job_fd, frames_fd))
        posix._exit(0)
    posix.close(writer)
    go(read_all(reader, child), frames_fd, [driver])


def go(package: bytes, frames_fd: int, driver: "list[str] | None" = None) -> "NoReturn":
    """Run what was parsed elsewhere, with nothing open but what the program may use."""
    posix.dup2(frames_fd, FRAMES, inheritable=False)
    posix.closerange(FRAMES + 1, 1 << 16)
    if not package:
        leave(0)
    found = [marshal.loads(package)]
    del package  # no frame may show it to the program
    emit = only_here(sender(FRAMES, found[0]["nonce"]))
    if "cells" in found[0]:
        sys.path[:0] = driver or ()
        from gristmill.engines.sandbox.interpreter import converse

        del sys.path[: len(driver or ())]
        converse(found[0]["cells"], FRAMES, emit)
    leave(run(found, emit))


def leave(code: int) -> "NoReturn":
    """End as an interpreter does, but take no object apart: that would cost milliseconds."""
    for action in (_join_threads, atexit._run_exitfuncs, _flush):
        try:
            action()
        except BaseException:  # noqa: BLE001 - the program may have replaced any of it
            code = 120
    posix._exit(code)


def _join_threads() -> None:
    if threading := sys.modules.get("threading"):
        threading._shutdown()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


def limit(cpu_s: int, address_bytes: int, processes: int) -> None:
    """Set what the kernel enforces per process and the job decides."""
    # First a signal that says why, then the end.
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    lower({"AS": address_bytes, "NPROC": processes} if processes else {"AS": address_bytes})


def lower(wanted: dict[str, int]) -> None:
    """Set limits for good, but leave lower ones."""
    for name, most in wanted.items():
        which = getattr(resource, "RLIMIT_" + name)
        hard = resource.getrlimit(which)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (most, most))


def read_all(fd: int, child: int = 0) -> bytes:
    """Read a descriptor to its end, and wait for the child that wrote to it."""
    found = b"".join(iter(lambda: posix.read(fd, 1 << 20), b""))
    return found if not child or posix.waitpid(child, 0) else b""


def sender(fd: int, nonce: str, write: "Callable[[int, bytes], int]" = posix.write) -> "Emit":
    """Return a function that sends one frame: its length, then a JSON list of parts."""
    head = "[" + quote(nonce) + ","

    def emit(*parts: str) -> None:
        body = (head + ",".join(parts) + "]").encode()
        left = len(body).to_bytes(4, "big") + body
        while left:
            left = left[write(fd, left) :]

    return emit


def only_here(emit: "Emit") -> "Emit":
    """Let no forked child of the program repeat what its parent says."""
    here, pid = posix.getpid(), posix.getpid
    return lambda *parts: emit(*parts) if pid() == here else None


def parse(job_fd: int, frames_fd: int) -> bytes:
    """Read the texts of a job; return what the program's process may know, nothing if none."""
    nonce = posix.read(job_fd, NONCE).decode()
    emit = sender(frames_fd, nonce)
    emit('"up"')
    try:
        from gristmill.engines.sandbox.plan import prepare

        job = marshal.loads(read_all(job_fd))
        found = prepare(job, emit, encode, quote)
        if found and "marks" in found and not TOOLS:
            from gristmill.engines.sandbox.guards import codes

            found["tools"] = codes()
        return b"" if found is None else marshal.dumps({"nonce": nonce, **found})
    except BaseException as error:  # noqa: BLE001 - the text may do anything to a parser
        emit('"unparsable"', '"tests"', quote(type(error).__name__))
        return b""


def run(packages: "list[Space]", emit: "Emit") -> int:
    """Run code and tests of the one package in one module; only a script chooses its exit code."""
    sys.modules["__main__"] = module = type(sys)("__main__")
    space = module.__dict__
    space["__builtins__"] = __builtins__
    sys.argv[:] = ["code.py"]
    counted = [0]
    where, is_script = "code", packages[0]["script"]
    try:
        for stage in stages(packages.pop(), space, emit, counted):
            where = stage[0]
            exec(stage[1], space)
        emit('"end"', str(counted[0]))
    except BaseException as error:  # noqa: BLE001 - programs raise what they like
        if is_script and type(error) is SystemExit:
            code = error.code
            return 0 if code is None else code & 0xFF if type(code) is int else 1
        report(error, where, emit)
    return 0


def stages(package: "Space", space: "Space", emit: "Emit", counted: list[int]) -> "list[Any]":
    """Return code and tests; what the latter call is taken before the code can change it."""
    tools = TOOLS.pop() if TOOLS else None
    given = checks(emit, counted)
    given |= {f"__gm_{name}__": getattr(builtins, name) for name in package["builtins"]}
    made: set[int] = package.setdefault("made", set())
    if "marks" in package:
        begin = (tools or furnish(package["tools"]))["begin"]
        given |= begin(space, package, emit, given["__gm_value__"])
    return [("code", package["code"]), ("tests", planted(package["tests"], given, made))]


def planted(code: "Any", given: "Space", made: set[int]) -> "Any":
    """Return the tests with what they call in the place of its names; `made` gets their ids."""
    consts = []
    for part in code.co_consts:
        found = given.get(part, part) if type(part) is str else part
        consts.append(planted(part, given, made) if type(part) is type(code) else found)
    # One line and no column for every eight instructions: nothing of the layout remains.
    places = b"\xef\0" * (len(code.co_code) // 16 + 1)
    code = code.replace(co_consts=tuple(consts), co_linetable=places, co_firstlineno=1)
    made.add(id(code))
    return code


def furnish(codes: "Space") -> "Space":
    """Make functions in a space that is no module's, with built-in functions of their own."""
    function: Any = type(furnish)
    tools: Space = {"__builtins__": dict(vars(builtins)), "urandom": posix.urandom}
    tools |= {"getframe": sys._getframe, "loads": marshal.loads}
    tools |= {name: function(code, tools, name) for name, code in codes.items()}
    tools["ACTIONS"] = tools["operators"]()
    return tools


def checks(emit: "Emit", counted: list[int]) -> "dict[str, Callable[..., Any]]":
    """Return what sends values, and what stands for a function that is not called there."""

    def value(i: int, found: object) -> None:
        counted[0] += 1
        emit('"value"', str(i), written(found))

    def attempt(i: int, make: "Callable[[], Any] | None") -> None:
        try:
            found = make() if make else compile("(", "calls.py", "eval")
        except BaseException as error:  # noqa: BLE001 - it is what this call gives
            counted[0] += 1
            emit('"value"', str(i), '["!",' + quote(type(error).__name__[:100]) + "]")
        else:
            value(i, found)

    given = {"__gm_value__": value, "__gm_attempt__": attempt}
    return given | {"__gm_take__": lambda found: found}


def written(found: object) -> str:
    """Return a value as JSON; of one that cannot be written its type, and its truth if any."""
    try:
        return encode(found)
    except (TypeError, RecursionError):
        kind = quote(type(found).__name__[:100])
    try:
        return f'["?",{kind},{int(bool(found))}]'
    except BaseException:  # noqa: BLE001 - the program may answer with anything
        return f'["?",{kind}]'


def report(error: BaseException, where: str, emit: "Emit") -> None:
    """Say how it ended: type, message, the missing module's name, whose line raised it."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    last = trace.tb_frame.f_code.co_filename if trace is not None else ""
    missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    try:
        message = str(error)[:MAX_MESSAGE]
    except BaseException:  # noqa: BLE001 - its text is computed by the program
        message = ""
    told = (type(error).__name__[:100], message, missing or "", where, last[:100])
    emit('"raised"', *(quote(str(part)) for part in told))


def encode(value: "Any", depth: int = 0) -> str:
    """Return a value as JSON with its type; sets and dicts in a fixed order.

    Subclasses of built-in types are read through those: only their content counts, no method of
    theirs is asked. Other objects raise TypeError.
    """
    if depth > MAX_DEPTH:
        raise RecursionError
    kind = type(value)
    base = kind if kind in BASES else next((b for b in kind.__mro__ if b in BASES), None)
    if base in (list, tuple):
        parts = [encode(v, depth + 1) for v in base.__iter__(value)]
        return _join("l" if base is list else "t", parts)
    if base in (set, frozenset):
        return _join("S", sorted(encode(v, depth + 1) for v in base.__iter__(value)))
    if base is dict:
        pairs = dict.items(value)
        lines = ["[" + encode(k, depth + 1) + "," + encode(v, depth + 1) + "]" for k, v in pairs]
        return _join("d", sorted(lines))
    return _scalar(value, base)


def _scalar(value: "Any", base: type | None) -> str:
    if value is None:
        return '["n"]'
    if base is bool:
        return '["b",1]' if value else '["b",0]'
    if base is int:
        return '["i","' + hex(int.__add__(value, 0)) + '"]'
    if base is float:
        return '["f","' + float.hex(float.__add__(value, 0.0)) + '"]'
    if base is str:
        return '["s",' + quote(str.__getitem__(value, slice(None))) + "]"
    if base is bytes:
        return '["y","' + bytes.hex(value) + '"]'
    if base is complex:
        return f'["c","{value.real.hex()}","{value.imag.hex()}"]'
    raise TypeError


def _join(tag: str, parts: list[str]) -> str:
    return '["' + tag + '",' + ",".join(parts) + "]" if parts else '["' + tag + '"]'


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:6]], sys.argv[6])
