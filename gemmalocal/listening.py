"""An address that is taken at once, and listened at when there is something to say; and who may ask there."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from urllib.parse import urlsplit

STRANGER = "Web pages of other machines may not ask this model; programs may, and pages of localhost."


class Listener(ThreadingMixIn, TCPServer):
    """A server with a thread for each connection; `open` answers the first, until then it refuses.

    Raises `OSError` for a taken address.
    """

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


class NoStrangers(BaseHTTPRequestHandler):
    """Refuses what web pages ask, unless they are of this machine.

    Else any page that somebody looks at could ask the model on their loopback what it was tuned on. Browsers say which
    page asks by the header Origin (RFC 6454); programs send none, or one with a scheme of their own.
    """

    def parse_request(self) -> bool:
        """Whether to go on with the request; a refusal was sent if not."""
        if not super().parse_request():
            return False
        if strange(self.headers.get("Origin", "")):
            self.send_error(403, STRANGER)
            return False
        return True


def strange(origin: str) -> bool:
    """Whether it is a web page's of another machine, or of a page that hides where it is from."""
    try:
        page = urlsplit(origin)
        if page.scheme not in ("http", "https"):
            return origin == "null"
        host = page.hostname or ""
        return not (f".{host}".endswith(".localhost") or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return True
