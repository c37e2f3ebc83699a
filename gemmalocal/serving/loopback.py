"""An address that is taken at once, and listened at when there is something to say; and who may ask there."""

from __future__ import annotations

import ipaddress
import resource
import socket
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import urlsplit

STRANGER = "Web pages of other machines may not ask this model; programs may, and pages of localhost."
REBOUND = "This address is asked by its number or as localhost, and not as another machine."
CONNECTIONS = 256  # at a time; more wait, until one of these ends
FILES = 2048


class Listener(ThreadingMixIn, TCPServer):
    """A server with a thread for each of `CONNECTIONS`; `open` answers the first, until then it refuses.

    Raises `OSError` for a taken address.
    """

    daemon_threads = True
    block_on_close = False  # else it would keep each thread that ever was
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, handler: Callable[..., Any]) -> None:
        _make_room()
        self.address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        self._free = BoundedSemaphore(CONNECTIONS)
        super().__init__((host, port), handler, bind_and_activate=False)
        self.server_bind()

    def open(self) -> None:
        """Answer, until the process ends."""
        self.server_activate()
        self.serve_forever()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin its thread, once one may begin."""
        self._free.acquire()
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started: this connection ends, the others go on
            self._free.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def shutdown_request(self, request: Any) -> None:
        """End a connection, whichever way it ended already."""
        with suppress(OSError):
            super().shutdown_request(request)


def _make_room() -> None:
    """Let this process have a descriptor for each connection and what answers it; macOS allows 256 by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


class NoStrangers(BaseHTTPRequestHandler):
    """Refuses what web pages ask, unless they are of this machine.

    Else any page that somebody looks at could ask the model on their loopback what it was tuned on. Browsers say which
    page asks by the header Origin (RFC 6454); programs send none, or one with a scheme of their own. A page whose name
    was made to point at this machine (DNS rebinding) is of one origin with it, and is known by the header Host.
    """

    named_hosts: frozenset[str] = frozenset()  # hosts that this machine's user named it by

    def parse_request(self) -> bool:
        """Whether to go on with the request; a refusal was sent if not."""
        if not super().parse_request():
            return False
        if is_foreign(self.headers.get("Origin", "")):
            self.send_error(403, STRANGER)
            return False
        host = self.headers.get("Host", "")
        if _loopback(str(self.connection.getsockname()[0])) and not (
            names_loopback(host) or _name(host) in self.named_hosts
        ):
            self.send_error(403, REBOUND)
            return False
        return True


def is_foreign(origin: str) -> bool:
    """Whether it is a web page's of another machine, or of a page that hides where it is from."""
    try:
        page = urlsplit(origin)
        if page.scheme not in ("http", "https"):
            return origin == "null"
        return not _is_own_host(page.hostname or "")
    except ValueError:
        return True


def names_loopback(host: str) -> bool:
    """Whether a header Host names this machine's loopback; programs of old send none."""
    return not host or _is_own_host(_name(host))


def _name(host: str) -> str:
    """A header Host without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_own_host(host: str) -> bool:
    return f".{host.rstrip('.')}".endswith(".localhost") or _loopback(host)


def _loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
