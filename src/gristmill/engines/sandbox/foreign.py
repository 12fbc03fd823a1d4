"""Inside the sandbox: a process that is to run another language becomes its tool.

It goes in as text, before the call that `languages.py` writes below it.
"""

import posix
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

MAX_MESSAGE = 2000
BUILT, MESSAGES = "built", "messages.txt"


class CompileError(Exception):
    """What the compiler said."""


def hand_over(file: str, content: bytes, given: str, command: tuple[str, ...]) -> "NoReturn":
    """Write the program and become its tool, or the program itself where it was built."""
    write(file, content, 0o700)
    if given:
        write(given, read(0))
    expect_signals()
    posix.execv(command[0], command)


def build(file: str, content: bytes, command: tuple[str, ...]) -> None:
    """Run a compiler and print what it built; raises CompileError with its first words."""
    write(file, content)
    expect_signals()
    words = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC
    actions = [
        (posix.POSIX_SPAWN_OPEN, 0, "/dev/null", posix.O_RDONLY, 0),
        (posix.POSIX_SPAWN_OPEN, 1, MESSAGES, words, 0o600),
        (posix.POSIX_SPAWN_DUP2, 1, 2),
    ]
    child = posix.posix_spawn(command[0], command, posix.environ, file_actions=actions)
    code = posix.waitstatus_to_exitcode(posix.waitpid(child, 0)[1])
    if code:
        said = read(posix.open(MESSAGES, posix.O_RDONLY))[:MAX_MESSAGE].decode("utf-8", "replace")
        raise CompileError(said.strip() or f"the compiler ended with {code}")
    put(1, read(posix.open(BUILT, posix.O_RDONLY)).hex().encode())


def expect_signals() -> None:
    """Undo what the interpreter ignores: what is ignored stays so over an exec."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)


def read(fd: int) -> bytes:
    """Read a descriptor to its end."""
    parts = []
    while part := posix.read(fd, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def write(path: str, content: bytes, mode: int = 0o600) -> None:
    """Write a file."""
    fd = posix.open(path, posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC, mode)
    put(fd, content)
    posix.close(fd)


def put(fd: int, content: bytes) -> None:
    """Write all of it to a descriptor."""
    while content:
        content = content[posix.write(fd, content) :]
