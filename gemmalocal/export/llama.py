"""llama.cpp's server in a process of its own: `python -m gemmalocal.export.llama`, its settings as one JSON object.

It closes the connection after each stream without having said so (its chunked provider returns false at the end, which
cpp-httplib takes for a failure), so that a client's next request on it may be lost. Hence a relay in front, which says
`Connection: close`, and passes on what is OpenAI's protocol alone.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

from gemmalocal import lifeline
from gemmalocal.listening import Listener, NoStrangers

CONTEXT = 8192  # tokens
PROMPTS_MIB = 1024  # of memory for the prompts of earlier requests; llama.cpp's own is 8192
OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "host", "content-length"}


def parameters(file: str, name: str, template: str) -> Any:
    """xllamacpp's settings: one slot with `CONTEXT` tokens, on a free port of the loopback.

    The keys and values of a whole context are allocated when the model is loaded, by default the model's longest: 11 GB
    for Gemma 3 27B's 128k, and again for each slot. 8192 tokens are a long conversation, and 3.8 GB for the Gemma that
    takes the most (7B, 0.46 MB a token). So requests take turns, and a longer one is refused with its length.
    """
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path, settings.model_alias = file, {name}
    settings.hostnames, settings.port = ["127.0.0.1"], 0
    settings.n_ctx, settings.n_parallel, settings.cache_ram_mib = CONTEXT, 1, PROMPTS_MIB
    settings.use_jinja, settings.chat_template, settings.ui = True, template, False
    return settings


class Relay(NoStrangers):
    """Passes requests on to `inner` (host, port), and each answer back as it comes, on a connection of its own."""

    protocol_version = "HTTP/1.1"
    inner: tuple[str, int]

    def do_GET(self) -> None:
        """Pass it on."""
        self._relay()

    do_POST = do_OPTIONS = do_GET

    def _relay(self) -> None:
        if not self.path.startswith(("/v1/", "/health")):
            self.send_error(404)
        elif "Transfer-Encoding" in self.headers:
            self.send_error(411)
        else:
            inner = HTTPConnection(*self.inner)
            try:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                inner.request(self.command, self.path, body, _kept(self.headers.items()))
                if self._waited(inner.sock):
                    self._answer(inner.getresponse())
            except ConnectionError:
                self.close_connection = True  # the client has gone; closing tells llama.cpp to stop
            finally:
                inner.close()

    def _waited(self, inner: socket.socket) -> bool:
        """Whether the answer begins before the client goes."""
        with selectors.DefaultSelector() as both:
            both.register(inner, selectors.EVENT_READ)
            both.register(self.connection, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in both.select()}
                if inner in ready:
                    return True
                if not self.connection.recv(1, socket.MSG_PEEK):
                    return False
                both.unregister(self.connection)  # it sends its next request already, and so it is there

    def _answer(self, answer: HTTPResponse) -> None:
        self.send_response_only(answer.status, answer.reason)
        for key, value in _kept(answer.getheaders()).items():
            self.send_header(key, value)
        self.send_header("Connection", "close")
        self.end_headers()
        while piece := answer.read1(65_536):
            self.wfile.write(piece)


def _kept(headers: Any) -> dict[str, str]:
    return {key: value for key, value in headers if key.lower() not in OF_THE_CONNECTION}


def main() -> None:
    """Serve until the parent ends."""
    lifeline.hold()
    given = json.loads(sys.argv[1])
    listener = Listener(given["host"], given["port"], Relay)
    import xllamacpp

    try:
        inner = xllamacpp.Server(parameters(given["file"], given["name"], given["template"]))
    except RuntimeError:  # "please check the input params": llama.cpp has logged the cause before
        sys.exit(1)
    address = urlsplit(inner.listening_address)
    Relay.inner = (str(address.hostname), int(address.port or 0))
    listener.open()


if __name__ == "__main__":
    main()
