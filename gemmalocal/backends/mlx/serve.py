"""mlx-lm's own server, with one model and no other: `python -m gemmalocal.backends.mlx.serve --name NAME`, its words.

By itself it loads what a request names, without the adapter, from the machine or the Hub.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from threading import Event, Thread
from typing import Any

from mlx_lm import server
from mlx_lm.models.cache import LRUPromptCache

from gemmalocal import lifeline
from gemmalocal.data.tokenizer import TURN_ENDS
from gemmalocal.listening import Listener, NoStrangers

DEFAULT = "default_model"  # mlx-lm's name for what its arguments say


class OneModel(server.ModelProvider):
    """Gives the model of the arguments, whatever a request names; `loaded` is set when it is there."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__(arguments)
        self.loaded = Event()

    def load(self, model_path: str, adapter_path: str | None = None, draft_model_path: str | None = None) -> Any:
        """The one model and its tokenizer."""
        return super().load(DEFAULT, None, DEFAULT)

    def load_default(self) -> None:
        """Load it; Gemma's turns end answers, also where the base's configuration names the end of text alone."""
        super().load_default()
        known = self.tokenizer.get_vocab()
        for end in TURN_ENDS:
            if end in known:
                self.tokenizer.add_eos_token(end)
        self.loaded.set()


class Handler(server.APIHandler, NoStrangers):
    """Lists the one model, by `name`; mlx-lm's lists the Hub's cache and the model's path."""

    name = DEFAULT

    def handle_models_request(self) -> None:
        """Answer GET /v1/models."""
        self._set_completion_headers(200)
        self.end_headers()
        models = [{"id": self.name, "object": "model", "created": self.created, "owned_by": "gemmalocal"}]
        self.wfile.write(json.dumps({"object": "list", "data": models}).encode())

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Requests are not logged: the log's last line says why the server ended."""


def main() -> None:
    """Serve until the parent ends, or the thread that generates does."""
    lifeline.hold()
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--name", required=True)
    own, theirs = parser.parse_known_args()
    Handler.name, sys.argv[1:] = own.name, theirs
    # Their `main` reads the arguments and takes these names from its module; it has no other way to be given classes.
    server.ModelProvider, server.run = OneModel, _run
    server.main()


def _run(host: str, port: int, provider: OneModel) -> None:
    fingerprint = server.get_system_fingerprint()

    def answer(*connection: Any) -> Handler:
        return Handler(generator, *connection, system_fingerprint=fingerprint)  # type: ignore[call-arg]  # mlx-lm's

    listener = Listener(host, port, answer)
    cache = LRUPromptCache(provider.cli_args.prompt_cache_size, provider.cli_args.prompt_cache_bytes)
    generator = server.ResponseGenerator(provider, cache)
    Thread(target=_open, args=(listener, provider.loaded), daemon=True).start()
    generator.join()  # only an error ends its thread, which has logged it; mlx-lm's would answer 404 from here on
    os._exit(1)


def _open(listener: Listener, loaded: Event) -> None:
    loaded.wait()
    listener.open()


if __name__ == "__main__":
    main()
