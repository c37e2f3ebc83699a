"""The tiny Gemma behind both servers, each started once for a module: mlx-lm's engine, and llama.cpp's on a GGUF."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gemmalocal.backends import open_backend
from gemmalocal.data.tokenizer import TURNS
from gemmalocal.export import gguf_write, merge, servers

open_backend("mlx")  # before a test imports mlx_lm: OpenBLAS must come first

NAME, POSITIONS = "tuned", 20_000


@dataclass(frozen=True)
class Served:
    """A server that answers."""

    kind: str
    port: int
    process: servers.Server
    client: httpx2.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def post(self, path: str, **body: Any) -> httpx2.Response:
        return self.client.post(f"{self.url}{path}", json=body)

    def complete(self, **body: Any) -> dict[str, Any]:
        answer = self.post("/completions", **{"max_tokens": 8, **body})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def raw(self, sent: bytes, wait: float = 60) -> bytes:
        """All that is said to these bytes, to the end of the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as connection:
            connection.sendall(sent)
            return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.fixture(scope="module", params=["mlx", "gguf"])
def served(request: pytest.FixtureRequest, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Each test runs against both."""
    folder = tmp_path_factory.mktemp("served")
    with started(str(request.param), _roomy(tiny, folder / "model"), TURNS, folder) as server:
        yield server


@contextmanager
def started(kind: str, model: Path, template: str, folder: Path) -> Iterator[Served]:
    """A server of that kind, which must still be there at the end of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    if kind == "mlx":
        process = servers.mlx(model, None, NAME, template, "127.0.0.1", port, folder / "log.txt")
    else:
        pytest.importorskip("xllamacpp")
        plan = gguf_write.plan(model, merge.merged(model, None), "F16")
        gguf_write.write(folder / "x.gguf", model, plan, "x", lambda *what: None)
        process = servers.llama(folder / "x.gguf", NAME, template, "127.0.0.1", port, folder / "log.txt")
    with httpx2.Client(timeout=60, trust_env=False) as client:
        _await(process, client, port)
        yield Served(kind, port, process, client)
        assert process.alive, process.last_words  # whatever was asked in between
    process.end()


def _roomy(tiny: Path, folder: Path) -> Path:
    """The same with so many positions that an answer as long as they are takes minutes."""
    shutil.copytree(tiny, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": POSITIONS}))
    return folder


def _await(process: servers.Server, client: httpx2.Client, port: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.alive, process.last_words
        try:
            assert client.get(f"http://127.0.0.1:{port}/health").json() == {"status": "ok"}
        except httpx2.ConnectError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("it does not answer")
