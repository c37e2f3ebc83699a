"""A connection that ends: one that says nothing, says it too slowly, or whose other side has gone."""

from __future__ import annotations

import io
import select
import socket
import time

GONE = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


class Timed(io.RawIOBase):
    """A socket to read from, until a deadline for all that is read, however little comes at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deadline = float("inf")

    def within(self, seconds: float) -> None:
        """What is read from now on comes within so many seconds, else `TimeoutError` is raised."""
        self._deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # a buffer of bytes, in practice
        """Raises `TimeoutError`."""
        seconds_left = self._deadline - time.monotonic()
        if seconds_left <= 0:
            raise TimeoutError("the client was too slow")
        self._connection.settimeout(seconds_left)
        return self._connection.recv_into(buffer)


def gone(connection: socket.socket) -> bool:
    """Whether the other side has ended the connection; Linux tells that even where more was sent before."""
    poll = select.poll()
    poll.register(connection, select.POLLIN | GONE)
    for _, event in poll.poll(0):
        if event & GONE:
            return True
        try:
            return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return True
    return False


def linger(connection: socket.socket, seconds: float, max_bytes: int) -> None:
    """Say that nothing more follows, and read away what still comes: else it may never read what was said last."""
    end = time.monotonic() + seconds
    try:
        connection.shutdown(socket.SHUT_WR)
        while max_bytes > 0 and (seconds_left := end - time.monotonic()) > 0:
            connection.settimeout(seconds_left)
            block = connection.recv(65_536)
            if not block:
                return
            max_bytes -= len(block)
    except OSError:
        return
