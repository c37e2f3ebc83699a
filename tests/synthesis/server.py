"""A small server that speaks OpenAI's chat protocol on the loopback, and can misbehave as real ones do."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]
NOTICES = 0.02  # seconds in which it sees that it shall end; half a second by default, for each test


@dataclass
class Model:
    """The server's state: `answer` makes the reply to a request's body; `faults` are used up one by one before it."""

    answer: Callable[[Body], str] = lambda body: quiz(body)
    faults: list[str] = field(default_factory=list)
    asked: list[Body] = field(default_factory=list)
    answered: Counter[str] = field(default_factory=Counter)  # by the last turn: whole answers that were sent
    keys: list[str | None] = field(default_factory=list)
    hold: int | None = None  # after so many answers, requests wait for `gate`
    gate: threading.Event = field(default_factory=threading.Event)
    stream: bool = True
    usage: Body | None = field(default_factory=lambda: {"prompt_tokens": 100, "completion_tokens": 20})
    url: str = ""
    listed: str = "listed"


def quiz(body: Body) -> str:
    """What a good author says to our qa prompt: a pair for each of the first sentences, with the sentence as proof.

    Asked such questions again, beside the text, it answers with the sentences, numbered if they are.
    """
    text, *questions = re.split(r"\n\nQuestions?:\n", body["messages"][0]["content"].rpartition("Text:\n")[2])
    text = text.partition("\n\nWrite ")[0]
    lines = [line for line in re.split(r"(?<=\.)\s+", text) if len(line) > 20][:2]
    if questions:
        asked = questions[0].partition("\n\nWrite ")[0].splitlines()
        answers = [next((line for line in lines if _but_its_end(line) in one), "No.") for one in asked]
        return "\n".join(f"{n}. {answer}" for n, answer in enumerate(answers, 1)) if len(asked) > 1 else answers[0]
    pairs = [{"question": f"How ends {_but_its_end(line)}?", "answer": line, "evidence": line} for line in lines]
    return json.dumps({"rows": pairs})


def _but_its_end(line: str) -> str:
    """A sentence without its last word, which is the answer then."""
    return " ".join(line.lower().split()[:-1])


@contextmanager
def running() -> Iterator[Model]:
    """A server that listens on a free port until the end of the block."""
    model = Model()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"model": model}))
    server.daemon_threads = True
    model.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    threading.Thread(target=server.serve_forever, args=(NOTICES,), daemon=True).start()
    try:
        yield model
    finally:
        model.gate.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    model: Model
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        if "models die" in self.model.faults:  # as mlx_lm.server's does without a cache folder
            self.close_connection = True
            self.connection.close()
            return
        self._send(200, json.dumps({"data": [{"id": self.model.listed}]}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.model.asked.append(body)
        self.model.keys.append(self.headers.get("Authorization"))
        if self.model.hold is not None and self.model.answered.total() >= self.model.hold:
            self.model.gate.wait(60)
        fault = self.model.faults.pop(0) if self.model.faults and self.model.faults[0] != "models die" else ""
        if fault and self._misbehave(fault):
            return
        text = self.model.answer(body)
        if self.model.stream:
            self._stream(text)
        else:
            choice = {"message": {"content": text}, "finish_reason": "stop"}
            self._send(200, json.dumps({"choices": [choice], "usage": self.model.usage}))
        self.model.answered[body["messages"][-1]["content"]] += 1

    def _misbehave(self, fault: str) -> bool:
        if fault.isdigit():
            key = self.headers.get("Authorization", "")
            self._send(int(fault), json.dumps({"error": {"message": f"no luck with {key}"}}))
        elif fault.startswith("307 "):
            self._send(307, "{}", {"Location": fault.removeprefix("307 ")})
        elif fault.startswith("429 "):
            self._send(429, "{}", {"Retry-After": fault.removeprefix("429 ")})
        elif fault.endswith("html"):  # as "502 html"
            status = int(fault.removesuffix("html") or 200)
            self._send(status, "<html>Sign in</html>", {"Content-Type": "text/html; charset=utf-8"})
        elif fault == "truncated":
            self._send(200, '{"choices": [{"message": {"content": "hal')
        elif fault == "silent":
            self._head_of_stream()
            self._piece({"choices": [{"delta": {"content": "hal"}}]})
            self.model.gate.wait(60)
        elif fault == "cut":
            self._head_of_stream()
            self._piece({"choices": [{"delta": {"content": "hal"}}]})
            self.close_connection = True
        elif fault.startswith("no ") and (key := fault.removeprefix("no ")) in self.model.asked[-1]:
            self.model.faults.insert(0, fault)
            self._send(400, json.dumps({"error": f"{key} is not supported"}))
        else:
            return False
        return True

    def _send(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _head_of_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()

    def _piece(self, chunk: Body) -> None:
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def _stream(self, text: str) -> None:
        self._head_of_stream()
        self.wfile.write(b": keepalive 1/1\n\n")
        for start in range(0, len(text), 40):
            self._piece({"choices": [{"delta": {"content": text[start : start + 40]}}]})
        self._piece({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        self._piece({"choices": [], "usage": self.model.usage})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True
