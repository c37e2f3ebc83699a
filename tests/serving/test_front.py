"""The front before an engine that says what it is told, when it is told: time, faults, and the words that end it."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

import pytest

from gemmalocal.serving import front
from gemmalocal.serving.engine import Begun, EngineLimits, GeneratedPiece, GenerationRequest, GenerationUpdate, Refused
from gemmalocal.serving.loopback import Listener
from gemmalocal.serving.stops import Stops

BODY = json.dumps({"prompt": "a", "stream": True}).encode()


@dataclass
class Script:
    """An engine of its own thread; it waits for `gate` before each thing that it tells."""

    told: list[Any]  # numbers are seconds of silence
    gate: Event = field(default_factory=Event)
    ended: Event = field(default_factory=Event)
    limits: EngineLimits = EngineLimits(300, 100)

    def start(self, ask: GenerationRequest, tell: Callable[[GenerationUpdate], None]) -> Callable[[], None]:
        def run() -> None:
            for item in self.told:
                self.gate.wait(30)
                time.sleep(item) if isinstance(item, float) else tell(item)

        Thread(target=run, daemon=True).start()
        return self.ended.set

    def text(self, ids: list[int]) -> str:
        return " ".join(map(str, ids))


@pytest.fixture
def script() -> Script:
    script = Script([Begun(3), GeneratedPiece("one ", count=1), GeneratedPiece("two", count=1, finish="stop")])
    script.gate.set()
    return script


@pytest.fixture
def port(script: Script) -> Iterator[int]:
    listener = Listener("127.0.0.1", 0, type("Handler", (front.Front,), {"engine": script, "name": "x"}))
    listener.server_activate()
    Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()  # `open`, which sees sooner that it ends
    yield int(listener.server_address[1])
    listener.shutdown()
    listener.server_close()


def connect(port: int) -> socket.socket:
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=30)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline


def head(length: int) -> bytes:
    return b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % length


def heard(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_what_comes_letter_by_letter_has_one_deadline(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A silence that starts anew with each byte would let a thousand connections hold the server for ever."""
    monkeypatch.setattr(front, "HEAD", 0.3)
    monkeypatch.setattr(front, "BODY", 0.3)
    for sent in (b"", head(1000)):
        with closing(connect(port)) as connection:
            connection.sendall(sent)
            for _ in range(1000):
                try:
                    connection.sendall(b"P")
                except OSError:
                    break
                time.sleep(0.02)
            else:
                raise AssertionError("it reads for ever")


def test_who_does_not_read_is_given_up(script: Script, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "WRITE", 0.2)
    script.told = [Begun(1), *(GeneratedPiece("x" * 100_000, count=1) for _ in range(300))]
    with closing(connect(port)) as connection:
        connection.sendall(head(len(BODY)) + BODY)
        assert script.ended.wait(30)


@pytest.mark.parametrize("stream", [False, True])
def test_who_has_gone_is_noticed_while_nothing_is_said(script: Script, port: int, stream: bool) -> None:
    script.gate.clear()
    body = json.dumps({"prompt": "a", "stream": stream}).encode()
    with closing(connect(port)) as connection:
        connection.sendall(head(len(body)) + body + b"GET /v1/models HTTP/1.1\r\n")  # and more has come already
        time.sleep(0.1)
    assert script.ended.wait(30)


def test_a_stream_gives_signs_of_life(script: Script, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "SIGN", 0.1)
    script.told.insert(2, 1.0)
    with closing(connect(port)) as connection:
        connection.sendall(head(len(BODY)) + BODY)
        said = heard(connection)
    assert said.index(b'"one "') < said.index(b": still at it\n\n") < said.index(b'"two"')
    assert said.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ([Refused("no such thing", 400, "prompt")], 400),
        ([Refused("broken", 500)], 500),
        ([Begun(1), GeneratedPiece("a", count=1), Refused("broken", 500)], 200),
        ([Begun(1), "what is this?"], 200),
    ],
)
def test_an_engine_that_fails_is_told(script: Script, port: int, told: list[Any], status: int) -> None:
    """Before the stream begins by a status, in its midst by an error and its end; the next one is served."""
    script.told = told
    with closing(connect(port)) as connection:
        connection.sendall(head(len(BODY)) + BODY)
        said = heard(connection)
    assert said.startswith(b"HTTP/1.1 %d " % status)
    assert said.count(b'"error"') == (status != 200 or isinstance(told[-1], Refused))
    script.told = [Begun(1), GeneratedPiece("a", count=1, finish="stop")]
    with closing(connect(port)) as connection:
        connection.sendall(head(len(BODY)) + BODY)
        assert heard(connection).endswith(b"data: [DONE]\n\n")


def test_more_connections_than_are_answered_at_once_wait(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "HEAD", 0.5)
    silent = [connect(port) for _ in range(300)]
    with closing(connect(port)) as connection:
        connection.sendall(head(len(BODY)) + BODY)
        assert heard(connection).endswith(b"data: [DONE]\n\n")
    for connection in silent:
        connection.close()


def test_stop_words_are_found_wherever_pieces_break() -> None:
    draw = random.Random(3)
    for _ in range(500):
        text = "".join(draw.choices("abc", k=draw.randint(0, 30)))
        words = ["".join(draw.choices("abc", k=draw.randint(1, 4))) for _ in range(draw.randint(0, 3))]
        stops, said, rest = Stops(words), [], text
        while rest:
            count = draw.randint(1, 5)
            piece, rest = rest[:count], rest[count:]
            said.append(stops(piece, not rest))
        whole = "".join(said)
        assert not any(word in whole for word in words)
        assert stops.met is any(word in text for word in words)
        assert any(text.startswith(whole + word) for word in words) if stops.met else whole == text
