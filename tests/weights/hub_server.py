"""A small stand-in for the Hugging Face Hub on the loopback: what the real client asks when it downloads a model.

The sequence was recorded from huggingface_hub 2.4: GET /api/models/ID, then HEAD and GET /ID/resolve/COMMIT/FILE.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import pytest

COMMIT = "a" * 40
TOKENS = {"hf_accepted": True, "hf_stranger": False}  # whether its owner has accepted the terms of the gated models
PIECE = 64 * 1024
NOTICES = 0.02  # seconds in which it sees that it shall end; half a second by default, for each test
State = TypeVar("State", bound="Hub")


@dataclass
class Repository:
    """Files by path; `sizes` may claim others than the real ones."""

    files: dict[str, bytes]
    gated: bool = False
    private: bool = False
    kind: str = "model"
    sizes: dict[str, int] = field(default_factory=dict)


@dataclass
class Hub:
    """The server's state: what it has, what it was asked, and how it misbehaves."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)  # big files wait for it after their first piece
    cut: set[str] = field(default_factory=set)  # files whose connection breaks after the first piece
    broken: bool = False  # every answer is 503
    url: str = ""

    def downloads(self) -> list[str]:
        """The files that were asked for with GET."""
        return [path.rpartition("/")[2] for method, path in self.requests if method == "GET" and "/resolve/" in path]


def only(url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client know no hub but that at `url`, and keep what it keeps in `home`; nobody is logged in."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", url)
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")  # with hf_xet the client asks another server than this one
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")


@contextmanager
def running(hub: State, handler: type[Handler] | None = None) -> Iterator[State]:
    """A hub that listens on a free port until the end of the block."""
    hub.gate.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler or Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(NOTICES,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.gate.set()
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    known: Collection[str] = TOKENS

    @property
    def token(self) -> str:
        """The one that came with the request, or nothing."""
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def log_message(self, *args: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        about, file = re.fullmatch(r"/api/(?:models|datasets)/([^/]+/[^/]+)(?:/revision/main)?", path), None
        if not about:
            file = re.fullmatch(r"/(?:datasets/)?([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
        match = about or file
        repository = self.hub.repositories.get(match.group(1)) if match else None
        if repository and (repository.kind == "dataset") != ("datasets/" in path):
            repository = None
        token = self.token
        if self.hub.broken:
            self.refuse(503, "", "Service Unavailable")
        elif token and token not in self.known:
            self.refuse(401, "", "Invalid credentials in Authorization header")
        elif repository is None:
            self.refuse(404 if token else 401, "RepoNotFound", "Repository not found")
        elif about:
            self._describe(about.group(1), repository)
        elif repository.gated and not TOKENS.get(token):
            self.refuse(403 if token else 401, "GatedRepo", "Access to this model is restricted.")
        elif file and file.group(2) in repository.files:
            self._file(file.group(2), repository.files[file.group(2)], body)
        else:
            self.refuse(404, "EntryNotFound", "Entry not found")

    def refuse(self, status: int, code: str, message: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _describe(self, name: str, repository: Repository) -> None:
        files = [
            {"rfilename": path, "size": repository.sizes.get(path, len(content)), "blobId": _etag(content)}
            for path, content in repository.files.items()
        ]
        gated = "manual" if repository.gated else False
        known = {
            "id": name,
            "sha": COMMIT,
            "gated": gated,
            "private": repository.private,
            "siblings": files,
            "tags": [],
        }
        self.json(known)

    def json(self, answer: dict[str, Any], status: int = 200) -> None:
        """Answer with an object."""
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _file(self, path: str, content: bytes, body: bool) -> None:
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{_etag(content)}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not body:
            return
        self.wfile.write(content[:PIECE])
        if len(content) > PIECE:
            self.wfile.flush()
            self.hub.gate.wait()  # `running` opens it at its end
            if path in self.hub.cut:
                self.close_connection = True
                self.connection.close()
                return
            for start in range(PIECE, len(content), PIECE):
                self.wfile.write(content[start : start + PIECE])


def _etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
