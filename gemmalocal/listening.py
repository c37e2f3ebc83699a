"""An address that is taken at once, and listened at when there is something to say: until then it refuses."""

from __future__ import annotations

import socket
from collections.abc import Callable
from socketserver import TCPServer, ThreadingMixIn
from typing import Any


class Listener(ThreadingMixIn, TCPServer):
    """A server with a thread for each connection; `open` answers the first. Raises `OSError` for a taken address."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, handler: Callable[..., Any]) -> None:
        self.address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        super().__init__((host, port), handler, bind_and_activate=False)
        self.server_bind()

    def open(self) -> None:
        """Answer, until the process ends."""
        self.server_activate()
        self.serve_forever()
