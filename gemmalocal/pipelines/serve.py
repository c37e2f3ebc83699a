"""What a run made, behind OpenAI's protocol, by a server that exists."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from gemmalocal.backends import convert_adapter, installed
from gemmalocal.data.tokenizer import TemplateRefused, Tokenizer
from gemmalocal.errors import BackendUnavailable, GemmalocalError
from gemmalocal.export import gguf_adapter, proved, servers
from gemmalocal.export.servers import Server
from gemmalocal.export.source import FinishedRun
from gemmalocal.jobs.events import Event, Finished, Notice, Report, Stage
from gemmalocal.pipelines import Commands, stop_asked
from gemmalocal.pipelines.shared.background import Stopped, in_background
from gemmalocal.pipelines.shared.run_source import open_run
from gemmalocal.records import Message

LOOK = 0.2  # seconds between two looks at the inbox and at the server
PATIENCE = 600.0  # seconds that a model may take to load
SMALLER = "If memory is short, close other programs, or export a smaller form (--to gguf --type Q4_K_M) and serve that."
CRASHES = 3  # after which a server is not started again
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """`spec`: run (a folder), form (an export's, or None for what the run made), host, port.

    Serves until a stop, or until the process that started the errand is gone, however it went.
    """
    server: Server | None = None
    host, port = spec["host"], spec["port"]
    try:
        yield Stage("finding the model")
        finished = yield from in_background(lambda tell: open_run(Path(spec["run"]), tell), commands)
        _check_free(host, port)
        if host not in LOOPBACK:
            yield Notice(f"whoever reaches {host} may ask this model: the server asks for no key")
        yield Stage("starting the server")
        tokenizer = finished.tokenizer
        name = finished.run.name
        for crashes in range(CRASHES + 1):
            server = _start(finished, spec["form"], _template(finished, tokenizer), directory, host, port)
            yield from in_background(partial(_wait_until_loaded, server, name, _url(host, port)), commands)
            if not crashes:
                yield Report({"url": _url(host, port), "model": name, "chat": tokenizer.has_template})
            while server.alive:
                if stop_asked(commands):
                    yield Finished("done")
                    return
                time.sleep(LOOK)
            if not server.crashed or crashes == CRASHES:
                raise GemmalocalError(f"The server has ended by itself: {server.last_words}", SMALLER)
            yield Notice(f"the server has crashed and is started again: {server.last_words}")
    except Stopped:
        yield Finished("done")
    finally:
        if server is not None:
            server.end()


def _template(finished: FinishedRun, tokenizer: Tokenizer) -> str:
    """The layout of the run's rows as a chat template, empty if the model brings it."""
    with suppress(TemplateRefused):  # one that is broken, or does not end, is told before a server has it
        tokenizer.render([Message("user", "a")], ask=True)
    return finished.layout(tokenizer).template(tokenizer) or ""


def _start(finished: FinishedRun, form: str | None, template: str, directory: Path, host: str, port: int) -> Server:
    log, name = directory / "server.txt", finished.run.name
    if form is not None:
        folder = proved.find(finished.run, form)
        if folder is None:
            raise proved.missing(finished.run, form)
        if file := next(folder.glob("*.gguf"), None):
            over = gguf_adapter.base_of(folder) if folder.name == "gguf-adapter" else None
            return servers.llama(over or file, name, template, host, port, log, file if over else None)
        if (folder / "config.json").is_file():
            return servers.mlx(folder, None, name, template, host, port, log)
    if not installed("mlx"):
        raise BackendUnavailable(
            "A run that was not exported is served by mlx-lm.",
            f"gemmalocal export {name} --to gguf, pip install xllamacpp, and: --form gguf",
        )
    if finished.adapter is None:
        return servers.mlx(finished.result, None, name, template, host, port, log)
    adapter = directory / "adapter"
    if not adapter.is_dir():
        config = json.loads((finished.base / "config.json").read_text(encoding="utf-8"))
        convert_adapter.to_mlx(finished.adapter, config, adapter)
    return servers.mlx(finished.base, adapter, name, template, host, port, log)


def _check_free(host: str, port: int) -> None:
    """Raise `GemmalocalError` for an address that cannot be listened at."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise GemmalocalError(
            f"{host}:{port} cannot be used as the address: {error.strerror or error}", "Name another: --port, --host."
        ) from error


def _url(host: str, port: int) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)
    return f"http://{host}:{port}/v1"


def _wait_until_loaded(server: Server, model: str, url: str, tell: Callable[[str, int, int], None]) -> None:
    """Wait until it has said a word; raises `GemmalocalError` if it never does."""
    body = json.dumps({"model": model, "prompt": "a", "max_tokens": 1}).encode()
    request = urllib.request.Request(f"{url}/completions", body, {"Content-Type": "application/json"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + PATIENCE
    while server.alive and time.monotonic() < end:
        tell("loading", 0, 1)
        try:
            with direct.open(request, timeout=PATIENCE):
                return
        except urllib.error.HTTPError as error:
            reply = error.read().decode("utf-8", "replace").strip() or server.last_words
            raise GemmalocalError(f"The server answers {error.code}: {reply}", SMALLER) from error
        except OSError:
            time.sleep(LOOK)  # it refuses until its model is loaded
    raise GemmalocalError(f"The server did not come up: {server.last_words}", SMALLER)
