"""A GGUF file, with an adapter over it, asked by llama.cpp itself: `python -m gemmalocal.export.llama_reader` holds it.

llama.cpp's server tells probabilities of what it says, so each supervised token is made to be said after what stands
before it; what it has read is kept between two requests.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import util
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends.process_group import ALONE, Group
from gemmalocal.data.batches import BatchShape, MicroBatch
from gemmalocal.errors import ModelError
from gemmalocal.export.llama_asked import FORCED, Inner
from gemmalocal.export.servers import Server
from gemmalocal.files import atomic
from gemmalocal.jobs import parent_pipe

MOST_TOKENS = 2000  # that it is asked for one by one: about a minute for the demo
LOOK = 0.05  # seconds between two looks whether it has loaded
ADDRESS, LOG = "address", "llama.txt"  # the files in which it says where it listens, and what it logs
THREADS = "OMP_NUM_THREADS"


def installed() -> bool:
    """Whether llama.cpp's server is here."""
    return util.find_spec("xllamacpp") is not None


class LlamaReader:
    """Answers as llama.cpp does, in a process that ends with `close` or with ours; `logits` are log-probabilities."""

    def __init__(self, file: Path, adapter: Path, context: int, scratch: Path) -> None:
        """Load `adapter` over the model in `file`, for texts of `context` tokens; raises `ModelError` if it cannot."""
        self.shapes = BatchShape(1, 0, 1)  # row by row, without padding
        self.group: Group = ALONE
        settings = {"file": str(file), "adapter": str(adapter), "context": context, "address": str(scratch / ADDRESS)}
        self._server = Server("gemmalocal.export.llama_reader", [json.dumps(settings)], scratch / LOG)
        while not (scratch / ADDRESS).is_file():
            if not self._server.alive:
                problem = f"llama.cpp does not load the adapter over {file.name}: {self._server.last_words}"
                raise ModelError(problem, "Is it the file of the model that was trained on?")
            time.sleep(LOOK)
        address = urlsplit((scratch / ADDRESS).read_text(encoding="utf-8"))
        self._inner = Inner(str(address.hostname), int(address.port or 0))

    def evaluate(self, parts: Sequence[MicroBatch]) -> tuple[float, float]:
        """Summed loss in nats, and summed weights of tokens."""
        total = 0.0
        for part in parts:
            for row, weights in zip(part.ids.tolist(), part.weights, strict=True):
                for place in (np.flatnonzero(weights[1:]) + 1).tolist():
                    total -= float(weights[place]) * self._log_probability(row[:place], row[place])
        return total, sum(part.weight for part in parts)

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The log-probabilities (vocabulary,) of what follows `ids`."""
        vocabulary, _ = self._inner.size()
        scored = self._made_to_say(list(ids), self._inner.letter, vocabulary)
        values = np.full(vocabulary, -np.inf, np.float32)
        for candidate in scored[0]["top_logprobs"]:
            values[candidate["id"]] = candidate["logprob"]
        return values

    def stream(self, ids: Sequence[int], max_tokens: int, stops: set[int]) -> Iterator[int]:
        """Answer greedily; a stop id ends it."""
        body = {"prompt": list(ids), "n_predict": max_tokens, "temperature": 0, "return_tokens": True}
        for number in self._inner.get("/completion", body)["tokens"]:
            yield number
            if number in stops:
                return

    def _log_probability(self, before: list[int], number: int) -> float:
        """Of a token after others; one that is a part of a letter is not told when it is said, but among all."""
        if scored := self._made_to_say(before, number, 1):
            return float(scored[0]["logprob"])
        return float(self.logits(before)[number])

    def _made_to_say(self, before: list[int], number: int, count: int) -> list[dict[str, Any]]:
        """What the server tells of a token that it is made to say, with the `count` likeliest in its place."""
        body = {"prompt": before, "n_predict": 1, "temperature": 0, "cache_prompt": True, "n_probs": count}
        reply = self._inner.get("/completion", {**body, "logit_bias": [[number, FORCED]]})
        scored: list[dict[str, Any]] = reply.get("completion_probabilities") or []
        return scored

    def close(self) -> None:
        """End its process."""
        self._server.end()


def main() -> None:
    """Hold a model until the parent ends."""
    parent_pipe.hold()
    settings: dict[str, Any] = json.loads(sys.argv[1])
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = settings["file"], settings["context"], 1
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(settings["adapter"], 1.0)]
    params.hostnames, params.port, params.ui, params.swa_full = ["127.0.0.1"], 0, False, True
    if (threads := os.environ.get(THREADS, "")).isdecimal() and int(threads):
        params.cpuparams.n_threads = int(threads)
    try:
        server = xllamacpp.Server(params)
    except RuntimeError:  # llama.cpp has logged the cause before
        sys.exit(1)
    atomic.write_text(Path(settings["address"]), server.listening_address)
    Event().wait()


if __name__ == "__main__":
    main()
