"""A GGUF file in llama.cpp, asked over HTTP as any program would ask it."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import xllamacpp


class LlamaServer:
    """One model, with an adapter over it if given, on a port of this machine; it ends with the object."""

    def __init__(self, file: Path, adapter: Path | None = None) -> None:
        settings = xllamacpp.CommonParams()
        settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)] if adapter else []
        settings.model.path, settings.n_ctx, settings.cpuparams.n_threads, settings.verbosity = str(file), 256, 1, 0
        settings.use_jinja = True
        self._server = xllamacpp.Server(settings)

    @property
    def address(self) -> str:
        """Where it listens, as a URL."""
        return str(self._server.listening_address)

    def ask(self, path: str, **body: Any) -> Any:
        request = urllib.request.Request(
            self.address + path, json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def tokens(self, text: str, **more: Any) -> list[int]:
        found: list[int] = self.ask("/tokenize", content=text, parse_special=True, **more)["tokens"]
        return found

    def next(self, ids: list[int], count: int) -> dict[int, float]:
        """The `count` likeliest ids after `ids`, and their log probabilities.

        Token 263, a letter, is made to be said: after half of a character llama.cpp tells no probabilities, which are
        those before the bias.
        """
        said = self.ask("/completion", prompt=ids, n_predict=1, n_probs=count, temperature=0, logit_bias=[[263, 1e3]])
        return {one["id"]: one["logprob"] for one in said["completion_probabilities"][0]["top_logprobs"]}
