"""Servers that speak OpenAI's protocol, of other projects: mlx-lm's for folders, llama.cpp's for a GGUF file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from gemmalocal.errors import BackendUnavailable


class Server(Protocol):
    """A server that was started; `name` is what a request calls the model."""

    name: str

    @property
    def alive(self) -> bool:
        """Whether it still runs."""

    def end(self) -> None:
        """End it, and free its port."""


class MlxServer:
    """mlx_lm.server in a child, on a model's folder and, if given, an adapter's in mlx-lm's layout."""

    name = "default_model"

    def __init__(self, model: Path, adapter: Path | None, host: str, port: int) -> None:
        from huggingface_hub import constants

        Path(constants.HF_HUB_CACHE).mkdir(parents=True, exist_ok=True)  # its list of models dies without
        words = ["--model", str(model), "--host", host, "--port", str(port)]
        words += ["--adapter-path", str(adapter)] if adapter else []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gemmalocal.backends.mlx.serve", *words],
            stdin=subprocess.DEVNULL,
            # A request may name another model: without the network only one that is here is found.
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def end(self) -> None:
        """End it, and free its port."""
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class LlamaServer:
    """llama.cpp's server in this process, by xllamacpp, on a GGUF file; raises `BackendUnavailable` without it."""

    def __init__(self, file: Path, host: str, port: int) -> None:
        try:
            import xllamacpp
        except ImportError as error:
            raise BackendUnavailable("A GGUF is served by llama.cpp.", "pip install xllamacpp") from error
        settings = xllamacpp.CommonParams()
        settings.model.path, settings.hostnames, settings.port = str(file), [host], port
        settings.use_jinja, settings.ui = True, False
        self.name = file.stem
        self._server = xllamacpp.Server(settings)

    @property
    def alive(self) -> bool:
        """As long as this process."""
        return True

    def end(self) -> None:
        """It ends with this process."""
