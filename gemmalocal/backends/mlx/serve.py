"""mlx-lm's own engine behind our front: `python -m gemmalocal.backends.mlx.serve --name NAME`, then mlx-lm's words.

mlx-lm's server by itself loads what a request names, from the machine or the Hub, without the adapter; its HTTP ends,
or never answers, by requests that are not what it expects. So of it only what loads and batches is used.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import mlx.core as mx
from jinja2 import TemplateError
from mlx_lm import server
from mlx_lm.models.cache import LRUPromptCache

from gemmalocal.backends.mlx import mlx_lm_requests
from gemmalocal.backends.transformers_import import put_off
from gemmalocal.data import tool_rows
from gemmalocal.data.chat_template import ChatTemplate
from gemmalocal.data.tokenizer import TURN_ENDS, TemplateRefused, Tokenizer
from gemmalocal.errors import ModelError
from gemmalocal.jobs import parent_pipe
from gemmalocal.serving.engine import EngineLimits, GenerationRequest, GenerationUpdate, Refused
from gemmalocal.serving.front import Front
from gemmalocal.serving.loopback import Listener
from gemmalocal.serving.messages import folded
from gemmalocal.tool_calls.grammars import opening

DEFAULT_MODEL = "default_model"  # mlx-lm's name for what its arguments say
DEFAULT_CONTEXT = 32_768  # tokens of context where a configuration does not say
MAX_FAILURES = 3  # failures in a row after which the server ends: the engine is broken, and not a request


class OneModel(server.ModelProvider):
    """Gives the model of the arguments, whatever a request names; `limits` are those of it."""

    limits: EngineLimits
    rendering: Tokenizer | None = None  # ours, for conversations with tools
    _thinking: Tokenizer | None = None

    def load(self, model_path: str, adapter_path: str | None = None, draft_model_path: str | None = None) -> Any:
        """The one model and its tokenizer."""
        return super().load(DEFAULT_MODEL, None, DEFAULT_MODEL)

    def load_default(self) -> None:
        """Load it; Gemma's turns end answers, also where the base's configuration names the end of text alone."""
        if self.cli_args.adapter_path:
            with put_off():
                import_module("mlx_lm.tuner.utils")  # which reads it, and wants transformers again
        super().load_default()
        vocabulary = self.tokenizer.get_vocab()
        self.rendering = _rendering(Path(self.cli_args.model), self.tokenizer.chat_template)
        grammar = self.rendering.grammar if self.rendering else None
        for end in (*TURN_ENDS, *([grammar.answer_start] if grammar and grammar.within else ())):
            if end in vocabulary:
                self.tokenizer.add_eos_token(end)
        # As many ids as there are logits: mlx-lm's classes do not all say it.
        logits = self.model(mx.array([[next(iter(self.tokenizer.eos_token_ids))]])).shape[-1]
        self.limits = EngineLimits(logits, _context_length(Path(self.cli_args.model)), grammar, True)

    def rendering_for(self, thinking: bool) -> Tokenizer | None:
        """Our tokenizer for conversations with tools, the model thinking or not."""
        if not thinking or self.rendering is None:
            return self.rendering
        self._thinking = self._thinking or Tokenizer(Path(self.cli_args.model), True, self.rendering.template)
        return self._thinking


def _rendering(folder: Path, template: Any) -> Tokenizer | None:
    """Our tokenizer with the template that is served; None where that has no place for tools."""
    if not isinstance(template, str):
        return None
    try:
        tokenizer = Tokenizer(folder, template=ChatTemplate(template, "chat_template"))
    except ModelError:
        return None
    return tokenizer if tokenizer.knows_tools and tokenizer.grammar else None


class WithoutCalls:
    """mlx-lm's tokenizer as one that knows no calls: these stay in the text, and the front reads them."""

    has_tool_calling = False

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        grammar = (tokenizer.tool_call_start, tokenizer.tool_call_end)
        self.structural_markers = [mark for mark in tokenizer.structural_markers or () if mark not in grammar]
        self.response_transitions = {
            state: [edge for edge in edges if edge[1] != "tool"]
            for state, edges in tokenizer.response_transitions.items()
            if state != "tool"
        }

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


class PromptCache(LRUPromptCache):
    """Always leaves a token to read: mlx-lm's leaves none of a prompt that it has whole, and fails on that."""

    def fetch_nearest_cache(self, model: Any, tokens: list[int]) -> Any:
        """The nearest cache, and the tokens that it lacks."""
        if len(tokens) < 2:
            return None, tokens
        cache, rest = super().fetch_nearest_cache(model, tokens[:-1])
        return cache, [*rest, tokens[-1]]


class ServedGenerator(server.ResponseGenerator):
    """mlx-lm's, which goes on after an error, and takes prompts of ids and those whose log probabilities are asked."""

    def __init__(self, provider: OneModel, cache: LRUPromptCache, loaded: Callable[[], None]) -> None:
        self._loaded, self._failures = loaded, 0
        self.waiting: set[mlx_lm_requests.ResponseSink] = set()
        super().__init__(provider, cache)

    def _run_generate(self) -> None:
        while self._failures < MAX_FAILURES:
            try:
                self.model_provider.load_default()
                self._loaded()
                self._generate()
                return
            except Exception as error:  # mlx-lm's thread would end: those who wait are told, others go on
                mlx_lm_requests.log_failure(error)
                self._failures += 1
                for sink in list(self.waiting):
                    sink.put(error)

    def _tokenize(self, tokenizer: Any, request: Any, args: Any) -> Any:
        if request.sink.ended:
            raise mlx_lm_requests.ClientLeft
        ids = request.prompt
        # As mlx-lm's: ids, the segments that are cached apart, their roles, the state the answer begins in, images.
        tokenized = ([*ids], [[*ids]], ["assistant"], "normal", None) if isinstance(ids, list) else None
        tokenized = tokenized or self._rendered(tokenizer, request, args)
        room = self.model_provider.limits.context - len(tokenized[0])
        mlx_lm_requests.check_prompt(tokenized[0], room, self.model_provider.limits.context)
        args.max_tokens = min(args.max_tokens, room)
        self._failures = 0
        return tokenized

    def _make_state_machine(self, model_key: Any, tokenizer: Any, stop_words: list[str]) -> Any:
        return super()._make_state_machine(model_key, WithoutCalls(tokenizer), stop_words)

    def _rendered(self, tokenizer: Any, request: Any, args: Any) -> Any:
        """A template that takes no system's message gets it before the first user's, as rows are written for it."""
        thinking = bool((args.chat_template_kwargs or {}).get("enable_thinking"))
        rendering = self.model_provider.rendering_for(thinking)
        if rendering is not None and (request.tools or any(turn["role"] == "tool" for turn in request.messages)):
            prompt, ask = _prompt(rendering, request.messages, request.tools or []), request.sink.ask
            ids = rendering.encode(prompt)
            if ask.must_call and rendering.grammar:  # the answer goes on from how a call begins
                begun = opening(rendering.grammar, ask.called)
                before, ids = len(ids), rendering.encode(prompt + begun)
                request.sink.opening = begun, len(ids) - before
            return [*ids], [[*ids]], ["assistant"], "normal", None
        try:
            return super()._tokenize(tokenizer, request, args)
        except TemplateError:
            request.messages = folded(request.messages)
            return super()._tokenize(tokenizer, request, args)

    def _serve_single(self, request: Any, stream: Any) -> None:
        sink, completion, args = request
        sink.alone = True
        try:
            if sink.ask.scores:
                prompt, *_ = self._tokenize(self.model_provider.tokenizer, completion, args)
                cache = sink.score(self.model_provider.model, prompt)
                self.prompt_cache.insert_cache(self.model_provider.model_key, prompt[:-1], cache)
        except Exception as error:
            sink.put(error)
            return
        super()._serve_single(request, stream)


def _prompt(tokenizer: Tokenizer, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> str:
    """A conversation with tools as rows of it are written; raises `Refused`."""
    try:
        turns = tool_rows.linked(tool_rows.protocol_messages(messages))
        return tokenizer.render(turns, ask=True, tools=json.dumps(tools, ensure_ascii=False) if tools else "")
    except TemplateRefused as problem:
        raise Refused(f"The conversation {problem}.", param="messages") from problem


class MlxEngine:
    """The front's engine."""

    def __init__(self, generator: ServedGenerator, provider: OneModel) -> None:
        self._generator, self._provider = generator, provider

    @property
    def limits(self) -> EngineLimits:
        """Of the one model."""
        return self._provider.limits

    def start(self, ask: GenerationRequest, tell: Callable[[GenerationUpdate], None]) -> Callable[[], None]:
        """Put it into mlx-lm's queue."""
        sink = mlx_lm_requests.ResponseSink(ask, tell, self._provider.tokenizer, self._generator.waiting)
        self._generator.requests.put(
            (sink, mlx_lm_requests.request(ask, sink), mlx_lm_requests.arguments(ask, self.limits))
        )
        return sink.end

    def text(self, ids: list[int]) -> str:
        """As mlx-lm's tokenizer has it."""
        return str(self._provider.tokenizer.decode(ids))


def main() -> None:
    """Serve until the parent ends, or the thread that generates does."""
    parent_pipe.hold()
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--name", required=True)
    ours, theirs = parser.parse_known_args()
    Front.name, sys.argv[1:] = ours.name, theirs
    # Their `main` reads the arguments and takes these names from its module; it has no other way to be given classes.
    server.ModelProvider, server.run = OneModel, _run
    server.main()


def _run(host: str, port: int, provider: OneModel) -> None:
    Front.named_hosts = frozenset([host.lower()])
    listener = Listener(host, port, Front)
    cache = PromptCache(provider.cli_args.prompt_cache_size, provider.cli_args.prompt_cache_bytes)
    listening = Thread(target=listener.open, daemon=True)

    def loaded() -> None:
        if listening.ident is None:
            listening.start()

    generator = ServedGenerator(provider, cache, loaded)
    Front.engine = MlxEngine(generator, provider)
    generator.join()  # only errors end its thread, which has logged them
    os._exit(1)


def _context_length(folder: Path) -> int:
    """How many positions a model has; mlx-lm's arguments of older Gemmas do not say."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config") or config
    return int(text.get("max_position_embeddings") or config.get("max_position_embeddings") or DEFAULT_CONTEXT)


if __name__ == "__main__":
    main()
