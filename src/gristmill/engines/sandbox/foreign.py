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


def hand_over(code: str, file: str, given: str, commands: list[tuple[str, ...]]) -> "NoReturn":
    """Write the program, compile it if there is more than one command, and become the last."""
    write(file, code.encode())
    if given:
        write(given, read(0))
    # The interpreter ignores these, and what is ignored stays so over an exec.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    for command in commands[:-1]:
        build(command)
        # Copied, because the degraded back end lets no linker mark what it wrote as a program.
        fd = posix.open(BUILT, posix.O_RDONLY)
        write(commands[-1][0], read(fd), 0o700)
        posix.close(fd)
    posix.execv(commands[-1][0], commands[-1])


def build(command: tuple[str, ...]) -> None:
    """Run a compiler; raises CompileError with its first words when it fails."""
    words = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC
    actions = [
        (posix.POSIX_SPAWN_OPEN, 0, "/dev/null", posix.O_RDONLY, 0),
        (posix.POSIX_SPAWN_OPEN, 1, MESSAGES, words, 0o600),
        (posix.POSIX_SPAWN_DUP2, 1, 2),
    ]
    child = posix.posix_spawn(command[0], command, posix.environ, file_actions=actions)
    code = posix.waitstatus_to_exitcode(posix.waitpid(child, 0)[1])
    fd = posix.open(MESSAGES, posix.O_RDONLY)
    said = posix.read(fd, MAX_MESSAGE).decode("utf-8", "replace")
    posix.close(fd)
    posix.unlink(MESSAGES)
    if code:
        raise CompileError(said.strip() or f"the compiler ended with {code}")


def read(fd: int) -> bytes:
    """Read a descriptor to its end."""
    parts = []
    while part := posix.read(fd, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def write(path: str, content: bytes, mode: int = 0o600) -> None:
    """Write a file."""
    fd = posix.open(path, posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC, mode)
    while content:
        content = content[posix.write(fd, content) :]
    posix.close(fd)
