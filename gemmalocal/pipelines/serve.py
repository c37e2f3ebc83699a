"""What a run made, behind OpenAI's protocol, by a server that exists."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gemmalocal.backends import crossing, installed
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.errors import BackendUnavailable, GemmalocalError
from gemmalocal.events import Event, Finished, Notice, Report, Stage
from gemmalocal.export import proved
from gemmalocal.export.servers import LlamaServer, MlxServer, Server
from gemmalocal.export.source import Source
from gemmalocal.pipelines.beside import Stopped, beside
from gemmalocal.pipelines.export import opened

LOOK = 0.2  # seconds between two looks at the inbox and at the server
PATIENCE = 600.0  # seconds that a model may take to load
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def run(spec: dict[str, Any], directory: Path, commands: Callable[[], list[dict[str, Any]]]) -> Iterator[Event]:
    """`spec`: run (a folder), form (an export's, or None for what the run made), host, port. Serves until a stop."""
    server: Server | None = None
    host, port = spec["host"], spec["port"]
    try:
        yield Stage("finding the model")
        found = yield from beside(lambda tell: opened(Path(spec["run"]), tell), commands)
        _check_free(host, port)
        if host not in LOOPBACK:
            yield Notice(f"whoever reaches {host} may ask this model: the server asks for no key")
        yield Stage("starting the server")
        server = _started(found, spec["form"], directory, host, port)
        yield from beside(lambda tell: _loaded(server, host, port, tell), commands)
        yield Report({"url": _url(host, port), "model": server.name, "chat": Tokenizer(found.whole).has_template})
        while server.alive:
            if any(item.get("do") == "stop" for item in commands()):
                yield Finished("done")
                return
            time.sleep(LOOK)
        raise GemmalocalError("The server has ended by itself.", "Its last words are in the log.")
    except Stopped:
        yield Finished("done")
    finally:
        if server is not None:
            server.end()


def _started(found: Source, form: str | None, directory: Path, host: str, port: int) -> Server:
    if form is not None:
        folder = proved.find(found.run, form)
        if folder is None:
            raise proved.missing(found.run, form)
        if file := next(folder.glob("*.gguf"), None):
            return LlamaServer(file, host, port)
        if (folder / "config.json").is_file():
            return MlxServer(folder, None, host, port)
    if not installed("mlx"):
        raise BackendUnavailable(
            "A run as it is is served by mlx-lm.",
            f"gemmalocal export {found.run.name} --to gguf, pip install xllamacpp, and: --form gguf",
        )
    if found.adapter is None:
        return MlxServer(found.result, None, host, port)
    adapter = directory / "adapter"
    config = json.loads((found.base / "config.json").read_text(encoding="utf-8"))
    crossing.to_mlx(found.adapter, config, adapter)
    return MlxServer(found.base, adapter, host, port)


def _check_free(host: str, port: int) -> None:
    """Raise `GemmalocalError` for an address that cannot be listened at."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise GemmalocalError(
            f"{host}:{port} cannot be listened at: {error.strerror or error}", "Name another: --port, --host."
        ) from error


def _url(host: str, port: int) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)
    return f"http://{host}:{port}/v1"


def _loaded(server: Server, host: str, port: int, tell: Callable[[str, int, int], None]) -> None:
    """Wait until it has said a word; raises `GemmalocalError` if it never does."""
    body = json.dumps({"model": server.name, "prompt": "a", "max_tokens": 1}).encode()
    ask = urllib.request.Request(f"{_url(host, port)}/completions", body, {"Content-Type": "application/json"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        tell("loading", 0, 1)
        try:
            with direct.open(ask, timeout=PATIENCE):
                return
        except urllib.error.HTTPError as error:
            if error.code != 503:  # llama.cpp's while it loads
                raise GemmalocalError(f"The server answers {error.code}.", "Its words are in the log.") from error
        except OSError:
            if not server.alive:
                break
        time.sleep(LOOK)
    raise GemmalocalError("The server did not come up.", "Its last words are in the log.")
