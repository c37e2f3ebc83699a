"""llama.cpp's server in a process of its own: `python -m gemmalocal.export.llama`, its settings as one JSON object.

It listens at a free port of the loopback; at the address that was asked for listens our front, which passes on what it
has held against the protocol. By itself it ends connections without a word (its chunked provider returns false at the
end, which cpp-httplib takes for a failure), and computes for those who have gone.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from gemmalocal.export.llama_asked import Answering, Inner
from gemmalocal.jobs import parent_pipe
from gemmalocal.serving.engine import EngineLimits, GenerationRequest, GenerationUpdate
from gemmalocal.serving.front import Front
from gemmalocal.serving.loopback import Listener
from gemmalocal.tool_calls import grammars

CONTEXT = 8192  # tokens
PROMPTS_MIB = 1024  # of memory for the prompts of earlier requests; llama.cpp's own is 8192


def parameters(file: str, name: str, template: str, adapter: str = "") -> Any:
    """xllamacpp's settings: one slot with `CONTEXT` tokens, on a free port of the loopback.

    The keys and values of a whole context are allocated when the model is loaded, by default the model's longest: 11 GB
    for Gemma 3 27B's 128k, and again for each slot. 8192 tokens are a long conversation, and 3.8 GB for the Gemma that
    takes the most (7B, 0.46 MB a token). So requests take turns, and a longer one is refused with its length.

    OMP_NUM_THREADS is how many threads compute, as in the engines; without it llama.cpp counts the processors.
    """
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path, settings.model_alias = file, {name}
    settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(adapter, 1.0)] if adapter else []
    settings.hostnames, settings.port = ["127.0.0.1"], 0
    settings.n_ctx, settings.n_parallel, settings.cache_ram_mib = CONTEXT, 1, PROMPTS_MIB
    settings.prefill_assistant = False  # an answer is a new turn, also after one of the assistant's
    settings.use_jinja, settings.chat_template, settings.ui = True, template, False
    if (threads := os.environ.get("OMP_NUM_THREADS", "")).isdecimal() and int(threads):
        settings.cpuparams.n_threads = int(threads)
    return settings


class LlamaEngine:
    """The front's engine."""

    def __init__(self, inner: Inner) -> None:
        self._inner = inner
        vocabulary, trained = inner.size()
        grammar = grammars.of_template(inner.template) or grammars.PLAIN  # which llama.cpp tells by itself
        self.limits = EngineLimits(vocabulary, min(CONTEXT, trained), grammar, schemas=True)

    def start(self, ask: GenerationRequest, tell: Callable[[GenerationUpdate], None]) -> Callable[[], None]:
        """Ask it in a thread of its own."""
        return Answering(self._inner, self.limits, ask, tell).begin()

    def text(self, ids: list[int]) -> str:
        """As llama.cpp has it."""
        return self._inner.text(ids)


def main() -> None:
    """Serve until the parent ends."""
    parent_pipe.hold()
    settings = json.loads(sys.argv[1])
    Front.name, Front.named_hosts = settings["name"], frozenset([settings["host"].lower()])
    listener = Listener(settings["host"], settings["port"], Front)
    import xllamacpp

    try:
        server = xllamacpp.Server(parameters(**{key: settings[key] for key in ("file", "name", "template", "adapter")}))
    except RuntimeError:  # "please check the input params": llama.cpp has logged the cause before
        sys.exit(1)
    address = urlsplit(server.listening_address)
    Front.engine = LlamaEngine(Inner(str(address.hostname), int(address.port or 0)))
    listener.open()


if __name__ == "__main__":
    main()
