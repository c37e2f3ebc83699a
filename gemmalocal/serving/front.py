"""OpenAI's protocol over HTTP/1.1, in front of an engine: each request gets an answer, and none ends the server."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from itertools import chain
from typing import Any
from urllib.parse import unquote, urlsplit

from gemmalocal.serving import answers, body, requests
from gemmalocal.serving.answers import Response
from gemmalocal.serving.asked import RunningRequest
from gemmalocal.serving.connection import Timed, gone, linger
from gemmalocal.serving.engine import Engine, GeneratedPiece, GenerationRequest, Refused
from gemmalocal.serving.loopback import NoStrangers
from gemmalocal.serving.requests import ChatRequest, CompletionRequest

HEAD = 30.0  # seconds for a request's head, and between two requests of a connection
BODY = 60.0
WRITE = 30.0  # for a client to take what it is sent
SIGN = 10.0  # between two signs of life in a stream that has nothing to say
LINGER, UNREAD = 2.0, 64 * 2**20
PieceStream = Iterator[tuple[int, GeneratedPiece] | None]
REQUEST_TYPES: dict[str, type[CompletionRequest] | type[ChatRequest]] = {
    "/completions": CompletionRequest,
    "/chat/completions": ChatRequest,
}


class Front(NoStrangers):
    """Answers as `name` by `engine`; both are set on a class of their own."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "gemmalocal", ""
    engine: Engine
    name: str
    since = int(time.time())

    def setup(self) -> None:
        """Read with a deadline."""
        super().setup()
        self._timed = Timed(self.connection)
        self.rfile = io.BufferedReader(self._timed)
        self._unread = self._sent = False

    def handle(self) -> None:
        """Requests until the connection ends, from whichever side."""
        with suppress(OSError):
            super().handle()

    def finish(self) -> None:
        """End it so that the last answer arrives."""
        if self._unread:
            linger(self.connection, LINGER, UNREAD)
        with suppress(OSError):
            super().finish()

    def handle_one_request(self) -> None:
        """One request, which begins and ends in time."""
        self._timed.within(HEAD)
        self._sent = False
        super().handle_one_request()

    def handle_expect_100(self) -> bool:
        """A body that is too long is refused before it is sent."""
        try:
            self._length()
        except Refused as refused:
            self._refuse(refused)
            return False
        return super().handle_expect_100()

    def do_GET(self) -> None:
        """Models, and whether the server is there."""
        path = self._path()
        with self._reporting_faults():
            self._read()
            if path == "/health":
                self._send(200, {"status": "ok"})
            elif path == "/models":
                self._send(200, {"object": "list", "data": [self._model()]})
            elif path.startswith("/models/"):
                if unquote(path.removeprefix("/models/")) != self.name:
                    raise Refused(f"No such model; there is {self.name}.", 404, "model", "model_not_found")
                self._send(200, self._model())
            else:
                raise self._unknown(path)

    def do_HEAD(self) -> None:
        """The head of what GET gives."""
        self.do_GET()

    def do_POST(self) -> None:
        """An answer of the model."""
        path = self._path()
        with self._reporting_faults():
            if path not in REQUEST_TYPES:
                raise self._unknown(path)
            request = requests.parse(REQUEST_TYPES[path], body.read(self._read()))
            requests.check(request, self.engine.limits)
            self._answer(request)

    def do_OPTIONS(self) -> None:
        """What a web page of this machine may send."""
        with self._reporting_faults():
            self._read()
            self._head(204)
            self.send_header("Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS")
            self.send_header("Access-Control-Allow-Headers", "*, Authorization, Content-Type")
            self.end_headers()

    def do_PUT(self) -> None:
        """Not one of the protocol's."""
        with self._reporting_faults():
            raise self._unknown(self._path())

    do_DELETE = do_PATCH = do_PUT

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """An error that the library or `NoStrangers` found."""
        self._refuse(Refused(message or HTTPStatus(code).phrase, int(code)))

    def log_message(self, *args: Any) -> None:
        """Requests are not logged: the log's last line says why the server ended."""

    def _path(self) -> str:
        path = urlsplit(self.path).path.rstrip("/")
        return path.removeprefix("/v1") if path.startswith("/v1/") else path

    def _unknown(self, path: str) -> Refused:
        allowed = "POST" if path in REQUEST_TYPES else "GET" if path in ("/models", "/health") else ""
        if allowed:
            return Refused(f"Not allowed to {self.command} on this path; {allowed} is.", 405, code="method_not_allowed")
        return Refused(f"Unknown request URL: {self.command} {path[:200]}.", 404, code="unknown_url")

    def _model(self) -> dict[str, Any]:
        return {"id": self.name, "object": "model", "created": self.since, "owned_by": "gemmalocal"}

    @contextmanager
    def _reporting_faults(self) -> Iterator[None]:
        """Whatever goes wrong in here is said to the client, and not to the server's end."""
        try:
            yield
        except Refused as refused:
            self._refuse(refused)
        except OSError:
            self.close_connection = True  # the client has gone, or is too slow
        except Exception:  # this is where a fault becomes the protocol's
            logging.exception("a request failed")
            self._refuse(Refused("The server failed at this request; its log says how.", 500))

    def _refuse(self, refused: Refused) -> None:
        """Say so, unless an answer has begun; the connection ends, as what was not read of the request is unknown."""
        self.close_connection = self._unread = True
        if self._sent:
            return
        self._send(refused.status, answers.error(refused.status, refused.message, refused.param, refused.code))

    def _length(self) -> int:
        lengths = set(self.headers.get_all("Content-Length") or ["0"])
        if "Transfer-Encoding" in self.headers:
            raise Refused("Send the body with a Content-Length, not in chunks.", 411)
        length = lengths.pop()
        if lengths or not (length.isascii() and length.isdigit()):
            raise Refused("The Content-Length is not a number.")
        if len(length) > 12 or int(length) > body.LARGEST:
            raise Refused(f"The body is larger than {body.LARGEST} bytes.", 413)
        return int(length)

    def _read(self) -> bytes:
        """The request's body."""
        length = self._length()
        kind = self.headers.get_content_type() if "Content-Type" in self.headers else "application/json"
        if length and kind != "application/json" and not kind.endswith("+json"):
            raise Refused("The body has to be JSON: send Content-Type: application/json.", 415)
        if self.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Refused("The body has to be sent as it is, with no Content-Encoding.", 415)
        self._timed.within(BODY)
        read = self.rfile.read(length)
        if len(read) < length:
            raise ConnectionError("the client has gone")
        return read

    def _answer(self, request: CompletionRequest | ChatRequest) -> None:
        asks = request.asks()
        echoes = [self._echo(request, ask) for ask in asks]
        answer = Response(request, asks, self.name, echoes, self.engine.limits.grammar)
        with RunningRequest(self.engine, asks, answer, lambda: gone(self.connection)) as running:
            if request.stream:
                self._stream(answer, running.pieces(), request.stream_options.include_usage)
            else:
                pieces_by_choice: list[list[GeneratedPiece]] = [[] for _ in asks]
                for index, piece in filter(None, running.pieces()):
                    pieces_by_choice[index].append(piece)
                self._send(200, answer.full_response(pieces_by_choice))

    def _echo(self, request: CompletionRequest | ChatRequest, ask: GenerationRequest) -> str:
        if isinstance(request, ChatRequest) or not request.echo:
            return ""
        return ask.prompt if isinstance(ask.prompt, str) else self.engine.text(ask.prompt)

    def _stream(self, answer: Response, pieces: PieceStream, usage: bool) -> None:
        first = next(filter(None, pieces))  # an error before it has a status of its own
        self.close_connection = True
        self._head(200, "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        try:
            for chunk in answer.opening_chunks():
                self._event(chunk)
            self._flow(answer, chain([first], pieces))
            if usage:
                self._event(answer.usage_chunk())
        except Refused as refused:
            self._event(answers.error(refused.status, refused.message, refused.param, refused.code))
        self._write(b"data: [DONE]\n\n")

    def _flow(self, answer: Response, pieces: PieceStream) -> None:
        """Each piece as it comes, and a comment where none does: so both sides see that the other is there."""
        written = time.monotonic()
        for update in pieces:
            if update is not None and update[1] != GeneratedPiece():
                self._event(answer.chunk(answer.choices[update[0]], update[1]))
            elif update is not None or time.monotonic() - written < SIGN:
                continue
            else:
                self._write(b": still at it\n\n")
            written = time.monotonic()

    def _event(self, chunk: dict[str, Any]) -> None:
        self._write(b"data: " + _json(chunk) + b"\n\n")

    def _send(self, status: int, payload: dict[str, Any]) -> None:
        written = _json(payload)
        self._head(status, "application/json")
        self.send_header("Content-Length", str(len(written)))
        if status == 405:
            self.send_header("Allow", "GET, HEAD, POST, OPTIONS")
        self.end_headers()
        if self.command != "HEAD":
            self._write(written)

    def _head(self, status: int, kind: str | None = None) -> None:
        self._sent = True
        self.connection.settimeout(WRITE)
        if (
            self.request_version == "HTTP/0.9"
        ):  # of a version, or bytes, that are none: the answer has a head all the same
            self.request_version = "HTTP/1.0"
        self.send_response_only(status)
        if kind:
            self.send_header("Content-Type", kind)
        if origin := getattr(self, "headers", {}).get("Origin"):
            if status != 403:
                self.send_header("Access-Control-Allow-Origin", origin)
            self.send_header("Vary", "Origin")
        if self.close_connection:
            self.send_header("Connection", "close")

    def _write(self, block: bytes) -> None:
        self.connection.settimeout(WRITE)
        self.wfile.write(block)


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
