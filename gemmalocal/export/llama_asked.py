"""One answer of llama.cpp's server: from what the front asks to its requests, and from what it sends to the front's."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from threading import Thread
from typing import Any

from gemmalocal.serving.engine import (
    Begun,
    EngineLimits,
    GeneratedPiece,
    GenerationRequest,
    GenerationUpdate,
    Refused,
    Token,
)
from gemmalocal.serving.messages import folded

DATA = b"data: "
FORCED = 1e6  # a bias that makes a token sure; llama.cpp tells the log probabilities from before it
ENDS = {"eos": "stop", "word": "stop", "limit": "length", "none": "length"}


class Inner:
    """The server's address."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self.letter = self.ids("a")[-1]
        self.folds = self._folds()

    def connect(self) -> HTTPConnection:
        """A connection for one request."""
        connection = HTTPConnection(*self._address)
        connection.connect()
        return connection

    @property
    def template(self) -> str:
        """The chat template that it renders with."""
        return str(self.get("/props").get("chat_template") or "")

    def get(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """A short answer as a whole."""
        with closing(self.connect()) as connection:
            return json.loads(_sent(connection, path, body).read())

    def size(self) -> tuple[int, int]:
        """How many tokens its model has, and how many it was trained to read at a time."""
        metadata = self.get("/v1/models")["data"][0]["meta"]
        return int(metadata["n_vocab"]), int(metadata["n_ctx_train"])

    def _folds(self) -> bool:
        """Whether the template takes no system's message: llama.cpp then puts one line end behind it, rows have two."""

        def rendered(*messages: tuple[str, str]) -> Any:
            turns = [{"role": role, "content": content} for role, content in messages]
            return self.get("/apply-template", {"messages": turns})["prompt"]

        try:
            return bool(rendered(("system", "a"), ("user", "b")) == rendered(("user", "a\nb")))
        except Refused:
            return False

    def ids(self, text: str) -> list[int]:
        """A text's ids, after the beginning's."""
        reply = self.get("/tokenize", {"content": text, "add_special": True, "parse_special": True})
        return list(map(int, reply["tokens"]))

    def text(self, ids: list[int]) -> str:
        """The text of ids."""
        return str(self.get("/detokenize", {"tokens": ids})["content"])


class Answering:
    """Asks, and tells what comes, until the end or until it is ended."""

    def __init__(
        self, inner: Inner, limits: EngineLimits, ask: GenerationRequest, tell: Callable[[GenerationUpdate], None]
    ) -> None:
        self._inner, self._limits, self._ask, self._tell = inner, limits, ask, tell
        self._ended = False
        self._connection: HTTPConnection | None = None

    def begin(self) -> Callable[[], None]:
        """Ask; what is returned ends it."""
        Thread(target=self._run, daemon=True).start()
        return self._end

    def _end(self) -> None:
        self._ended = True
        with suppress(OSError, AttributeError):  # there is none, or it has ended; else llama.cpp stops by it
            self._connection.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]

    def _run(self) -> None:
        try:
            (self._complete if self._ask.messages is None else self._chat)()
        except Refused as refused:
            self._tell(refused)
        except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
            if not self._ended:
                self._tell(Refused(f"llama.cpp's server failed at this request: {str(error)[:200]}", 500))

    def _complete(self) -> None:
        prompt = self._ask.prompt
        ids = self._inner.ids(prompt) if isinstance(prompt, str) else prompt
        if not ids:
            raise Refused("The prompt has no token.", param="prompt")
        if len(ids) >= self._limits.context:
            limit_text = f"This model's maximum context length is {self._limits.context} tokens, and the prompt has"
            raise Refused(f"{limit_text} {len(ids)}.", param="prompt", code="context_length_exceeded")
        body = {**self._settings(), "prompt": ids, "n_predict": self._ask.max_tokens, "return_tokens": True}
        if self._ask.top is not None:
            self._score(ids, body, int(isinstance(prompt, str)))
            return
        self._tell(Begun(len(ids)))
        counted = 0
        for event in self._events("/completion", body):
            finish = ENDS[event["stop_type"]] if event.get("stop") else None
            count = int(event["tokens_predicted"]) - counted  # some give no text, as parts of a letter
            counted += count
            self._tell(GeneratedPiece(event["content"], count=count, finish=finish))

    def _score(self, ids: list[int], body: dict[str, Any], added: int) -> None:
        """Tell all at once, with log probabilities; those that were `added` before the prompt (<bos>) are left out.

        In a stream llama.cpp tells none of tokens that are parts of a letter.
        """
        scores: list[Token] = []
        if self._ask.scores:
            scores = [Token(self._inner.text(ids[:1]), b"", None)]
            scores += [self._forced(ids[:position], ids[position]) for position in range(1, len(ids))]
        self._tell(Begun(len(ids), tuple(scores[added:])))
        completion = self._get({**body, "stream": False, "n_probs": max(1, self._ask.top or 0)})
        new, scored = completion["tokens"], completion.get("completion_probabilities", ())
        if len(scored) == len(new):
            tokens = tuple(map(self._token, scored))
        else:
            tokens = tuple(self._forced([*ids, *new[:position]], new[position]) for position in range(len(new)))
        finish = ENDS[completion["stop_type"]]
        if finish == "stop" and not self._ask.scores:
            tokens = tokens[:-1]  # the end's mark; those who score count it
        self._tell(GeneratedPiece(completion["content"], tokens=tokens, count=len(new), finish=finish))

    def _chat(self) -> None:
        ask = self._ask
        messages = folded(ask.messages or []) if self._inner.folds else ask.messages
        body = {**self._settings(), "messages": messages, "max_tokens": ask.max_tokens}
        body |= {"stream_options": {"include_usage": True}}
        body |= (
            {"tools": ask.tools, "tool_choice": "auto", "parallel_tool_calls": not ask.one_call} if ask.tools else {}
        )
        if ask.tools and (grammar := self._limits.grammar) is not None and grammar.within:
            body["stop"] = [grammar.answer_start]  # what follows is for a tool to say
        body |= {"response_format": ask.schema} if ask.schema else {}
        body |= {} if ask.thinking is None else {"chat_template_kwargs": {"enable_thinking": ask.thinking}}
        body |= {} if ask.top is None else {"logprobs": True, "top_logprobs": max(1, ask.top)}
        finish = None
        for event in self._events("/v1/chat/completions", body):
            for choice in event["choices"]:
                self._tell(self._chat_piece(choice))
                finish = choice["finish_reason"] or finish
            if usage := event.get("usage"):
                final_piece = GeneratedPiece(
                    count=usage["completion_tokens"], prompt_tokens=usage["prompt_tokens"], finish=finish
                )
                self._tell(final_piece)

    def _chat_piece(self, choice: dict[str, Any]) -> GeneratedPiece:
        """A chunk of a chat; its end waits for the count of tokens, which comes after it."""
        delta, logprobs = choice["delta"], choice.get("logprobs") or {}
        tokens = tuple(self._token(token) for token in logprobs.get("content") or ())
        calls = tuple(delta.get("tool_calls") or ())
        return GeneratedPiece(delta.get("content") or "", delta.get("reasoning_content") or "", calls, tokens)

    def _settings(self) -> dict[str, Any]:
        ask = self._ask
        return {
            "stream": True,
            "temperature": ask.temperature,
            "top_p": ask.top_p,
            "top_k": min(ask.top_k, self._limits.vocabulary),
            "min_p": ask.min_p,
            "repeat_penalty": ask.repetition_penalty,
            "repeat_last_n": self._limits.context,
            "presence_penalty": ask.presence_penalty,
            "frequency_penalty": ask.frequency_penalty,
            "logit_bias": [[number, bias] for number, bias in ask.logit_bias.items()],
            **({} if ask.seed is None else {"seed": ask.seed}),
        }

    def _events(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """What it streams; raises `Refused` for its errors."""
        with closing(self._connected()) as connection:
            for line in _sent(connection, path, body):
                if line.startswith(DATA) and line.strip() != DATA + b"[DONE]":
                    event = json.loads(line.removeprefix(DATA))
                    if "error" in event:
                        raise _refused(event, 500)
                    yield event
                elif line.startswith(b"error: "):
                    raise _refused({"error": json.loads(line.removeprefix(b"error: "))}, 500)

    def _forced(self, before: list[int], number: int) -> Token:
        """The log probability of a token, which llama.cpp tells of those that it says: so it is made to."""
        body: dict[str, Any] = {"prompt": before, "n_predict": 1, "temperature": 0, "cache_prompt": True}
        bias = [[number, FORCED]]
        completion = self._get({**body, "logit_bias": bias, "n_probs": max(1, self._ask.top or 0)})
        if scored := completion.get("completion_probabilities"):
            return self._token(scored[0])
        # A part of a letter is told only among the likeliest beside another token.
        whole_vocabulary = {"logit_bias": [[self._inner.letter, FORCED]], "n_probs": self._limits.vocabulary}
        (scored,) = self._get({**body, **whole_vocabulary})["completion_probabilities"]
        likeliest = scored["top_logprobs"]
        (entry,) = [candidate for candidate in likeliest if candidate["id"] == number]
        return self._token({**entry, "top_logprobs": likeliest})

    def _get(self, body: dict[str, Any]) -> Any:
        with closing(self._connected()) as connection:
            return json.loads(_sent(connection, "/completion", body).read())

    def _connected(self) -> HTTPConnection:
        """A connection that `_end` finds; raises `Refused` where it came before, and so found none."""
        self._connection = self._inner.connect()
        if self._ended:
            self._connection.close()
            raise Refused("The client has gone.", 499)
        return self._connection

    def _token(self, scored: dict[str, Any]) -> Token:
        top = tuple(self._token(candidate) for candidate in scored.get("top_logprobs", ())[: self._ask.top or 0])
        return Token(str(scored["token"]), bytes(scored.get("bytes") or ()), float(scored["logprob"]), top)


def _sent(connection: HTTPConnection, path: str, body: dict[str, Any] | None) -> HTTPResponse:
    """Ask; raises `Refused` for an error's status."""
    payload = None if body is None else json.dumps(body).encode()
    connection.request("GET" if body is None else "POST", path, payload, {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise _refused(json.loads(response.read()), response.status)
    return response


def _refused(reply: dict[str, Any], status: int) -> Refused:
    error = reply.get("error")
    error = error if isinstance(error, dict) else {"message": str(error)}
    kind = error.get("type")
    if kind == "exceed_context_size_error":
        limit_text = f"This model's maximum context length is {error.get('n_ctx')} tokens, and the prompt has"
        return Refused(
            f"{limit_text} {error.get('n_prompt_tokens')}.", param="messages", code="context_length_exceeded"
        )
    return Refused(str(error.get("message"))[:500], int(error.get("code", status)))
