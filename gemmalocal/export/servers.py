"""Servers that speak OpenAI's protocol, by engines of others: mlx-lm's for folders, llama.cpp's for a GGUF file."""

from __future__ import annotations

import json
import os
import signal
import sys
from importlib import util
from pathlib import Path

from gemmalocal.errors import BackendUnavailable
from gemmalocal.files import safe_read
from gemmalocal.jobs import parent_pipe

PROMPTS = "1GB"  # of memory for the prompts of earlier requests: mlx-lm's own is ten of any length
FAULTS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP)
TAIL = 8192  # bytes of the log's end
LINE = 400  # characters
ERROR, ENDING = " E ", 14  # llama.cpp's mark in a line, and how many lines it takes to end


class Server:
    """A server in a child process that ends with this one; what it prints is added to the file `log`.

    `module` is what it runs (`python -m`), offline, with these arguments.
    """

    def __init__(self, module: str, arguments: list[str], log: Path) -> None:
        self._log = log
        with log.open("ab") as file:
            self._process = parent_pipe.start(
                [sys.executable, "-m", module, *arguments],
                file,
                {**os.environ, "HF_HUB_OFFLINE": "1"},  # what it serves is here
            )

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    @property
    def crashed(self) -> bool:
        """Whether a fault of its own ended it: native code may have one that no request should reach, yet one does."""
        return -(self._process.poll() or 0) in FAULTS

    @property
    def last_words(self) -> str:
        """The last line of its log, with the signal if one ended it; or the first of llama.cpp's errors at the end."""
        lines = safe_read.tail(self._log, TAIL).decode("utf-8", "replace").split("\n")
        log_lines = [line.strip() for line in lines if line.strip()] or ["it said nothing"]
        code = self._process.poll()
        if code is not None and code < 0:
            return f"{log_lines[-1][-LINE:]} ({signal.Signals(-code).name})"
        # Of llama.cpp's last errors the first is the cause: the later ones follow from it.
        causes = [line.partition(ERROR)[2] for line in log_lines[-ENDING:] if ERROR in line]
        return (causes or log_lines[-1:])[0][-LINE:]

    def end(self) -> None:
        """End it, and free its port."""
        self._process.kill()  # it has nothing to save
        self._process.communicate()


def mlx(model: Path, adapter: Path | None, name: str, template: str, host: str, port: int, log: Path) -> Server:
    """Start mlx-lm's server on a model's folder and, if given, an adapter's in mlx-lm's layout.

    `name` is the model that it lists; a chat `template`, unless empty, goes before the model's own. Keys and values of
    earlier prompts are kept up to 1 GB. It refuses connections until its model is loaded.
    """
    arguments = ["--name", name, "--model", str(model), "--host", host, "--port", str(port)]
    arguments += ["--prompt-cache-bytes", PROMPTS, "--log-level", "WARNING"]
    arguments += ["--adapter-path", str(adapter)] if adapter else []
    arguments += ["--chat-template", template] if template else []
    return Server("gemmalocal.backends.mlx.serve", arguments, log)


def llama(file: Path, name: str, template: str, host: str, port: int, log: Path, adapter: Path | None = None) -> Server:
    """Start llama.cpp's server on a GGUF file, with an adapter's over it, by xllamacpp.

    Raises `BackendUnavailable` without that.

    One request at a time, of up to 8192 tokens (`gemmalocal.export.llama` says why). `name` and `template` as for mlx.
    """
    if util.find_spec("xllamacpp") is None:
        raise BackendUnavailable("A GGUF is served by llama.cpp.", "pip install xllamacpp")
    settings = {"file": str(file), "name": name, "template": template, "host": host, "port": port}
    settings["adapter"] = str(adapter or "")
    return Server("gemmalocal.export.llama", [json.dumps(settings)], log)
