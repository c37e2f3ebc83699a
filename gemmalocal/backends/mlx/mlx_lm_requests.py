"""Requests of the front in the words of mlx-lm's engine, and what that answers in the words of the front."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm import server
from mlx_lm.generate import TextStateMachine
from mlx_lm.models.cache import make_prompt_cache

from gemmalocal.serving.engine import (
    Begun,
    EngineLimits,
    GeneratedPiece,
    GenerationRequest,
    GenerationUpdate,
    Refused,
    Token,
)

SCORE_CHUNK = 128  # tokens of a prompt that are scored at a time: their logits are as wide as the vocabulary
BYTE = re.compile(r"<0x([0-9A-F]{2})>")  # a token that is a single byte, as SentencePiece writes it


class ClientLeft(Exception):
    """Whoever asked has gone."""


class ResponseSink:
    """What mlx-lm takes for a queue: it tells the front what is put into it, in the thread that generates.

    While mlx-lm works on one request `alone`, what `put` raises ends it; in a batch it would end all.
    """

    def __init__(
        self,
        ask: GenerationRequest,
        tell: Callable[[GenerationUpdate], None],
        tokenizer: Any,
        waiting: set[ResponseSink],
    ) -> None:
        self.ask, self.alone, self._tell, self._tokenizer, self._waiting = ask, False, tell, tokenizer, waiting
        self.ended = False
        self.opening = "", 0  # what the answer has to begin with, which stands in the prompt; and its tokens
        self._context: Any = None
        self._scores: tuple[Token, ...] = ()
        waiting.add(self)

    def end(self) -> None:
        """No more of it is wanted."""
        self.ended = True
        self._waiting.discard(self)
        if self._context is not None:
            self._context.stop()

    def put(self, item: Any) -> None:
        """Take what mlx-lm gives: a context, progress, responses, None, or an error."""
        if isinstance(item, Exception):
            self._waiting.discard(self)
            if not self.ended:
                self._tell(_refused(item))
        elif isinstance(item, server.GenerationContext):
            self._begin(item)
        elif isinstance(item, server.Response):
            self._tell(self._piece(item))
        if item is None:
            self._waiting.discard(self)
        elif self.ended and self.alone and not isinstance(item, Exception):
            raise ClientLeft

    def score(self, model: Any, prompt: list[int]) -> Any:
        """Find the log probability (nats) of each of a prompt's tokens; the key-value cache of all but the last."""
        cache = make_prompt_cache(model)
        skip = int(isinstance(self.ask.prompt, str) and prompt[0] == self._tokenizer.bos_token_id)  # it is ours
        scores = [self._token(prompt[0], None)]
        for start in range(0, len(prompt) - 1, SCORE_CHUNK):
            self.put((start, len(prompt)))
            ids, targets = prompt[start : start + SCORE_CHUNK], prompt[start + 1 : start + SCORE_CHUNK + 1]
            logits = model(mx.array([ids[: len(targets)]]), cache=cache)[0].astype(mx.float32)
            logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)  # (tokens, vocabulary)
            mx.eval(logprobs, [layer.state for layer in cache])
            tops = [self._top(position) for position in logprobs] if self.ask.top else [()] * len(targets)
            of_targets = np.array(mx.take_along_axis(logprobs, mx.array(targets)[:, None], axis=-1)[:, 0])
            scores += [
                self._token(token_id, float(logprob), top)
                for token_id, logprob, top in zip(targets, of_targets, tops, strict=True)
            ]
        self._scores = tuple(scores[skip:])
        return cache

    def _begin(self, context: Any) -> None:
        self._context = context
        self._machine = context.text_sm.make_state(context.initial_state)
        if self.ended:
            context.stop()
        opening, count = self.opening
        self._tell(Begun(len(context.prompt) - count, self._scores))
        if opening:
            self._tell(GeneratedPiece(opening, count=count))

    def _piece(self, response: Any) -> GeneratedPiece:
        parts = {"normal": "", "reasoning": ""}
        for state, text in self._segments(response):
            parts[state] = parts.get(state, "") + text
        # The token that ends a turn is no text; those who score count it.
        hidden = response.finish_reason == "stop" and not self.ask.scores
        tokens = () if hidden or self.ask.top is None else (self._response_token(response),)
        return GeneratedPiece(parts["normal"], parts["reasoning"], (), tokens, 1, response.finish_reason)

    def _segments(self, response: Any) -> list[tuple[str, str]]:
        """The text by what it is; control sequences are not in it."""
        if response.finish_reason == "stop" or response.finish_reason == "length":
            self._machine, segments = TextStateMachine.split(self._machine, response.text)
            self._machine, flushed, state = TextStateMachine.flush(self._machine)
        else:
            self._machine, segments = TextStateMachine.split(self._machine, response.text)
            return list(segments)
        return [*segments, (state, flushed)]

    def _response_token(self, response: Any) -> Token:
        top = [self._token(likely["id"], likely["logprob"]) for likely in response.top_tokens]
        top.sort(key=lambda token: -(token.logprob or 0))
        return self._token(response.token, response.logprob, tuple(top))

    def _top(self, logprobs: mx.array) -> tuple[Token, ...]:
        """The likeliest tokens by the log probabilities (vocabulary,) of a position, the likeliest first."""
        ids = np.array(mx.argpartition(-logprobs, kth=(self.ask.top or 1) - 1)[: self.ask.top])
        highest = np.array(logprobs)[ids]
        return tuple(self._token(int(ids[rank]), float(highest[rank])) for rank in np.argsort(-highest))

    def _token(self, token_id: int, logprob: float | None, top: tuple[Token, ...] = ()) -> Token:
        text = str(self._tokenizer.convert_ids_to_tokens(token_id))
        byte = BYTE.fullmatch(text)
        raw = bytes.fromhex(byte[1]) if byte else text.replace("▁", " ").encode()
        return Token(raw.decode("utf-8", "replace"), raw, logprob, top)


def request(ask: GenerationRequest, sink: ResponseSink) -> Any:
    """mlx-lm's request; its messages are its own, which it changes."""
    kind = "text" if ask.messages is None else "chat"
    completion = server.CompletionRequest(kind, ask.prompt, deepcopy(ask.messages or []), deepcopy(ask.tools), None)
    completion.sink = sink
    return completion


def arguments(ask: GenerationRequest, limits: EngineLimits) -> Any:
    """mlx-lm's arguments. A request with a seed, or whose prompt is scored, is served alone."""
    top_k = ask.top_k if ask.top_k < limits.vocabulary else 0
    penalty = 0.0 if ask.repetition_penalty == 1 else ask.repetition_penalty
    whole = limits.context  # a penalty looks at all tokens so far
    return server.GenerationArguments(
        model=server.ModelDescription("default_model", "default_model", None),
        sampling=server.SamplingArguments(ask.temperature, ask.top_p, top_k, ask.min_p, 0.0, 0.1),
        logits=server.LogitsProcessorArguments(
            ask.logit_bias or None, penalty, whole, ask.presence_penalty, whole, ask.frequency_penalty, whole
        ),
        stop_words=[],  # the front's: mlx-lm cuts them out and goes on
        max_tokens=ask.max_tokens,
        num_draft_tokens=0,
        logprobs=ask.top is not None,
        top_logprobs=ask.top or -1,
        seed=ask.seed if ask.seed is not None else 0 if ask.scores else None,
        chat_template_kwargs=None if ask.thinking is None else {"enable_thinking": ask.thinking},
    )


def check_prompt(prompt: list[int], room: int, context: int) -> None:
    """Raise `Refused` for a prompt that is empty, or leaves no `room` for an answer."""
    if not prompt:
        raise Refused("The prompt has no token.", param="prompt")
    if room < 1:
        raise Refused(
            f"This model's maximum context length is {context} tokens, and the prompt has {len(prompt)}.",
            param="messages",
            code="context_length_exceeded",
        )


def log_failure(error: Exception) -> None:
    """Into the server's log, with where it came from."""
    logging.error("a request failed", exc_info=error)


def _refused(error: Exception) -> Refused:
    """What mlx-lm raised, as the protocol's: while it reads a conversation, the conversation is what is wrong."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, MemoryError) or "allocate" in str(error):
        return Refused("The machine's memory does not hold this request.", 503, code="out_of_memory")
    if type(error).__module__.startswith("jinja2"):
        return Refused(f"The messages do not fit the model's chat template: {str(error)[:300]}", param="messages")
    log_failure(error)
    return Refused("The server failed at this request; its log says how.", 500)
