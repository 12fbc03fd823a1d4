"""Inside the sandbox: lines and descriptors that pass between its processes."""

import _socket
import array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

HEAD = 64
"""Length of a message in bytes."""


def receive(door: "_socket.socket") -> tuple[list[int], list[int]]:
    """Wait for numbers and up to five descriptors; both empty when nobody is left to send."""
    text, ancillary, _, _ = door.recvmsg(HEAD, _socket.CMSG_SPACE(5 * 4))
    fds = array.array("i")
    for _, _, data in ancillary:
        fds.frombytes(data)
    return [int(part) for part in text.split()], list(fds)


def send(door: "_socket.socket", text: str, fds: "Sequence[int]" = ()) -> None:
    """Send a line, padded to a fixed length, and descriptors with it."""
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", fds).tobytes())
    door.sendmsg([text.ljust(HEAD).encode()], [rights] if fds else [])
