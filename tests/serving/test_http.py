"""HTTP as nobody should speak it: an answer each, or the end of that connection, and the server goes on."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.serving.conftest import NAME, Served

JSON = b"Content-Type: application/json\r\n"
BODY = json.dumps({"prompt": "a", "max_tokens": 2}).encode()
HOST = b"Host: 127.0.0.1\r\n"


def asked(body: bytes = BODY, more: bytes = JSON, path: bytes = b"/v1/completions", length: bytes = b"") -> bytes:
    size = length or str(len(body)).encode()
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + more + b"Content-Length: " + size + b"\r\n\r\n" + body


CLOSE = b"Connection: close\r\n"
ODD: list[tuple[bytes, int]] = [
    (asked(b"{"), 400),
    (asked(b""), 400),
    (asked(b"[]"), 400),
    (asked(b"null"), 400),
    (asked(b'"a"'), 400),
    (asked(b"\xff\xfe{"), 400),
    (asked(b'{"prompt": "\xff"}'), 400),
    (asked(b'{"prompt": NaN}'), 400),
    (asked(b'{"prompt": "a", "temperature": Infinity}'), 400),
    (asked(b'{"prompt": "a", "temperature": 1e999}'), 400),
    (asked(b'{"prompt": "a", "seed": ' + b"9" * 5000 + b"}"), 400),
    (asked(b'{"prompt": "a", "max_tokens": ' + b"9" * 4000 + b"}"), 400),
    (asked(b"[" * 100_000), 400),
    (asked(b'{"a":' * 100_000), 400),
    (asked(b'{"user": ' + b"[" * 200 + b"]" * 200 + b"}"), 400),
    (asked(b"\xef\xbb\xbf" + BODY, JSON + CLOSE), 200),
    (asked(BODY, b"Content-Type: application/json; charset=utf-8\r\n" + CLOSE), 200),
    (asked(BODY, CLOSE), 200),
    (asked(BODY, b"Content-Type: text/plain\r\n"), 415),
    (asked(BODY, b"Content-Type: multipart/form-data; boundary=x\r\n"), 415),
    (asked(BODY, JSON + b"Content-Encoding: gzip\r\n"), 415),
    (asked(BODY, JSON + b"Transfer-Encoding: chunked\r\n"), 411),
    (asked(BODY, JSON + b"Content-Length: 3\r\n"), 400),
    (asked(length=b"-1"), 400),
    (asked(length=b"x"), 400),
    (asked(length=b"9" * 30), 413),
    (asked(length=b"100000000"), 413),
    (asked(b"", JSON + b"Expect: 100-continue\r\n", length=b"100000000"), 413),
    (asked(path=b"/v1/nothing"), 404),
    (asked(path=b"/v1/models"), 405),
    (asked(path=b"/tokenize"), 404),
    (asked(path=b"/v1/../v1/completions?x=1#y"), 404),
    (asked(more=JSON + CLOSE, path=b"/v1/completions/?x=1"), 200),
    (asked(more=JSON + CLOSE, path=b"/completions"), 200),
    (b"GET /v1/completions HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    (b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    (b"GET /v1/models/" + NAME.encode() + b" HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 200),
    (b"GET /v1/models/other HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    (b"GET /v1/models HTTP/1.0\r\n\r\n", 200),
    (b"DELETE /v1/models/" + NAME.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    (b"PATCH /v1/models HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    (b"OPTIONS /v1/completions HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 204),
    (b"BREW /v1/models HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    (b"GET /v1/models HTTP/3.0\r\n" + HOST + b"\r\n", 505),
    (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n", 414),
    (b"GET /v1/models HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
    (b"GET /v1/models HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", 431),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    (b"GET /v1/models HTTP/1.1\r\nHost: rebound.example.org\r\n\r\n", 403),
    (b"GET /v1/models HTTP/1.1\r\nHost: localhost.example.org:80\r\n\r\n", 403),
    (b"GET /v1/models HTTP/1.1\r\nHost: 192.168.1.2\r\n\r\n", 403),
    (b"GET /v1/models HTTP/1.1\r\nHost: [::1\r\n\r\n", 403),
    (b"GET /v1/models HTTP/1.1\r\nHost: LOCALHOST:1\r\n" + CLOSE + b"\r\n", 200),
    (b"GET /v1/models HTTP/1.1\r\nHost: [::1]:8080\r\n" + CLOSE + b"\r\n", 200),
]


def test_odd_requests(served: Served) -> None:
    for sent, status in ODD:
        said = served.raw(sent)
        assert said.startswith(b"HTTP/1.1 %d " % status), (sent[:200], said[:500])
        if status >= 400:
            assert b"connection: close" in said.lower(), (sent[:200], said[:500])
            assert json.loads(said.partition(b"\r\n\r\n")[2])["error"]["message"], sent[:200]
            assert b"Traceback" not in said
    assert served.complete(prompt="a")


def test_requests_in_one_go_are_answered_in_turn(served: Served) -> None:
    models = b"GET /v1/models HTTP/1.1\r\n" + HOST + b"\r\n"
    head = b"HEAD /v1/models HTTP/1.1\r\n" + HOST + b"\r\n"
    said = served.raw(models + asked() + head + asked(more=JSON + CLOSE) + models)
    assert said.count(b"HTTP/1.1 200 ") == 4
    assert said.count(b'"object": "list"') == 1
    assert said.count(b'"object": "text_completion"') == 2


def test_a_body_in_pieces_is_put_together(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
        sent = asked(more=JSON + CLOSE)
        for place in range(0, len(sent), 40):
            connection.sendall(sent[place : place + 40])
            time.sleep(0.005)
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_who_says_nothing_or_too_little_waits_alone(served: Served) -> None:
    silent = [socket.create_connection(("127.0.0.1", served.port), timeout=30) for _ in range(40)]
    for number, connection in enumerate(silent):
        connection.sendall([b"", b"P", b"POST /v1/completions HTTP/1.1\r\nHo", asked(length=b"5000")][number % 4])
    assert served.complete(prompt="a")
    for connection in silent:
        connection.close()
    assert served.complete(prompt="a")


def test_a_hundred_at_the_same_time(served: Served) -> None:
    wanted = served.complete(prompt="the", max_tokens=4)["choices"]

    def ask(number: int) -> bool:
        more: list[dict[str, Any]] = [{}, {"n": 2}, {"temperature": 1, "seed": number}, {"logprobs": 2}, {"echo": True}]
        found = served.complete(**{"prompt": "the", "max_tokens": 4, **more[number % 5]})["choices"]
        return number % 5 != 0 or found == wanted

    with ThreadPoolExecutor(100) as pool:
        assert all(pool.map(ask, range(100)))


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_is_computed_for_who_has_gone(served: Served, stream: bool) -> None:
    """A million tokens are asked for, by more clients than are answered at once, who leave; then somebody asks."""
    body = json.dumps({"prompt": "the", "n": 4, "max_tokens": 10**6, "stream": stream, "logit_bias": {"1": -100}})
    for _ in range(12):
        with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
            connection.sendall(asked(body.encode()))
            time.sleep(0.02)
    assert served.complete(prompt="a")


def test_who_goes_in_the_midst_of_anything_is_forgotten(served: Served) -> None:
    sent = asked(json.dumps({"prompt": "the", "max_tokens": 50, "stream": True}).encode())
    for end in range(1, len(sent), 9):
        with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
            connection.sendall(sent[:end])
    assert served.complete(prompt="a")
