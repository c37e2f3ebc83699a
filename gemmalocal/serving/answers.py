"""The protocol's objects: choices as they grow, whole or in chunks, and errors."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from gemmalocal.records import ToolCall
from gemmalocal.serving.engine import Begun, GeneratedPiece, GenerationRequest, Token
from gemmalocal.serving.requests import ChatRequest, CompletionRequest
from gemmalocal.serving.stops import Stops
from gemmalocal.tool_calls.grammars import Grammar
from gemmalocal.tool_calls.parser import Splitter

LEAST = -9999.0  # a log probability in place of minus infinity, which is not JSON
KINDS = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def error(status: int, message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """What was wrong."""
    kind = KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


class ResponseChoice:
    """One answer as it comes: what of it may be said, and when it ends."""

    def __init__(
        self, index: int, request: CompletionRequest | ChatRequest, echo: str, grammar: Grammar | None = None
    ) -> None:
        """With a `grammar` the calls in what is said are taken out of it."""
        self.index, self._echo = index, echo
        self._silent = isinstance(request, CompletionRequest) and not request.max_tokens
        self._splitter = Splitter(grammar) if grammar else None
        self._stops = Stops([*request.stop, *([grammar.answer_start] if grammar and grammar.within else ())])
        self._calls, self._one_call = 0, isinstance(request, ChatRequest) and not request.parallel_tool_calls
        self._received = self._released = 0  # letters
        self._waiting: list[tuple[int, Token]] = []  # tokens, with their places among the letters
        self.finish: str | None = None
        self.prompt_tokens = self.tokens = 0

    def begin(self, begun: Begun) -> GeneratedPiece:
        """The prompt's part of it: nothing, but for what is echoed."""
        self.prompt_tokens = begun.prompt_tokens or 0
        return GeneratedPiece(self._echo, tokens=begun.scores)

    def add(self, piece: GeneratedPiece) -> GeneratedPiece:
        """What of it may be said by now; the choice ends with the piece's `finish`, or at a stop word."""
        self.prompt_tokens = self.prompt_tokens or piece.prompt_tokens or 0
        if self._silent:
            self.finish = "length"
            return GeneratedPiece(finish=self.finish)
        self.tokens += piece.count
        if self._splitter is not None:
            return self._split(piece, self._splitter)
        self._waiting += [(self._received, token) for token in piece.tokens]
        self._received += len(piece.text)
        text = self._stops(piece.text, piece.finish is not None)
        self._released += len(text)
        self.finish = "stop" if self._stops.met else piece.finish
        return GeneratedPiece(text, piece.reasoning, piece.tool_calls, self._released_tokens(), finish=self.finish)

    def _split(self, piece: GeneratedPiece, splitter: Splitter) -> GeneratedPiece:
        """As `add`, where there may be calls in the text; log probabilities are those of all tokens."""
        text = self._stops(piece.text, piece.finish is not None)
        said, calls = splitter(text, self._stops.met or piece.finish is not None)
        told = [*piece.tool_calls, *(_told(call, self._calls + place) for place, call in enumerate(calls))]
        self._calls += len(calls)
        called = bool(self._calls) or piece.finish == "tool_calls"
        self.finish = "stop" if self._stops.met else piece.finish
        enough = self._one_call and (bool(calls) or any(part["index"] for part in told))
        if enough or (self.finish == "stop" and called):
            self.finish = "tool_calls"
        told = [part for part in told if not (self._one_call and part["index"])]
        return GeneratedPiece(said, piece.reasoning, tuple(told), piece.tokens, finish=self.finish)

    def _released_tokens(self) -> tuple[Token, ...]:
        """The tokens of what was said; those of a stop word, and after it, never are."""
        complete = self.finish is not None and not self._stops.met
        ready = tuple(token for offset, token in self._waiting if complete or offset < self._released)
        self._waiting = self._waiting[len(ready) :]
        return ready


class Response:
    """One response: its choices, its name and its count of tokens."""

    def __init__(
        self,
        request: CompletionRequest | ChatRequest,
        asks: Sequence[GenerationRequest],
        model: str,
        echoes: Sequence[str],
        grammar: Grammar | None = None,
    ) -> None:
        """`grammar` is that of the engine's calls, which are looked for where tools were given."""
        self._chat = isinstance(request, ChatRequest)
        self._prompts = 1 if isinstance(request, ChatRequest) else len(request.prompt)
        grammar = grammar if asks[0].tools else None
        self.choices = [ResponseChoice(index, request, echo, grammar) for index, echo in enumerate(echoes)]
        self._logprobs = asks[0].top is not None
        self._head = {
            "id": f"{'chatcmpl' if self._chat else 'cmpl'}-{uuid.uuid4().hex}",
            "object": "chat.completion" if self._chat else "text_completion",
            "created": int(time.time()),
            "model": model,
        }

    @property
    def ended(self) -> bool:
        """Whether all its choices are."""
        return all(choice.finish for choice in self.choices)

    @property
    def usage(self) -> dict[str, int]:
        """Tokens; a prompt counts once, however many answers it has."""
        per_prompt = len(self.choices) // self._prompts
        prompt_tokens = sum(choice.prompt_tokens for choice in self.choices[::per_prompt])
        completion_tokens = sum(choice.tokens for choice in self.choices)
        total = prompt_tokens + completion_tokens
        return {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total}

    def full_response(self, pieces: Sequence[Sequence[GeneratedPiece]]) -> dict[str, Any]:
        """The response at once, of what was let out of each choice."""
        choices = zip(self.choices, pieces, strict=True)
        bodies = [self._body(choice, _joined(choice_pieces), False) for choice, choice_pieces in choices]
        return {**self._head, "choices": bodies, "usage": self.usage}

    def opening_chunks(self) -> list[dict[str, Any]]:
        """The chunks that a chat's stream opens with: whose turn it is."""
        if not self._chat:
            return []
        delta = {"role": "assistant", "content": ""}
        return [self._chunk({"index": choice.index, "delta": delta, "finish_reason": None}) for choice in self.choices]

    def chunk(self, choice: ResponseChoice, piece: GeneratedPiece) -> dict[str, Any]:
        """A piece of one choice."""
        return self._chunk(self._body(choice, piece, True))

    def usage_chunk(self) -> dict[str, Any]:
        """The chunk with the usage, which has no choices."""
        return {**self._chunk(None), "usage": self.usage}

    def _chunk(self, body: dict[str, Any] | None) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self._chat else "text_completion"
        return {**self._head, "object": kind, "choices": [] if body is None else [body]}

    def _body(self, choice: ResponseChoice, piece: GeneratedPiece, delta: bool) -> dict[str, Any]:
        body: dict[str, Any] = {"index": choice.index, "finish_reason": piece.finish, "logprobs": None}
        if not self._chat:
            body["text"] = piece.text
        elif delta:
            body["delta"] = _delta(piece)
        else:
            body["message"] = {"role": "assistant", "content": None, "refusal": None, **_message(piece)}
        if self._logprobs:
            body["logprobs"] = _chat_logprobs(piece.tokens) if self._chat else _completion_logprobs(piece.tokens)
        return body


def _joined(pieces: Sequence[GeneratedPiece]) -> GeneratedPiece:
    """Many as one."""
    return GeneratedPiece(
        "".join(piece.text for piece in pieces),
        "".join(piece.reasoning for piece in pieces),
        tuple(call for piece in pieces for call in piece.tool_calls),
        tuple(token for piece in pieces for token in piece.tokens),
        finish=pieces[-1].finish if pieces else None,
    )


def _told(call: ToolCall, index: int) -> dict[str, Any]:
    """A call as a stream has it, with an id that no other has."""
    return {"index": index, **call.as_protocol, "id": f"call_{uuid.uuid4().hex[:24]}"}


def _delta(piece: GeneratedPiece) -> dict[str, Any]:
    delta: dict[str, Any] = {"content": piece.text} if piece.text else {}
    delta |= {"reasoning_content": piece.reasoning} if piece.reasoning else {}
    return delta | ({"tool_calls": list(piece.tool_calls)} if piece.tool_calls else {})


def _message(piece: GeneratedPiece) -> dict[str, Any]:
    calls: dict[int, dict[str, Any]] = {}
    for part in piece.tool_calls:  # their arguments may come in parts
        call = calls.setdefault(
            part["index"], {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        )
        call["id"] = call["id"] or part.get("id", "")
        for name in ("name", "arguments"):
            call["function"][name] += part["function"].get(name) or ""
    message: dict[str, Any] = {"content": piece.text if piece.text or not calls else None}
    message |= {"reasoning_content": piece.reasoning} if piece.reasoning else {}
    return message | ({"tool_calls": list(calls.values())} if calls else {})


def _number(logprob: float | None) -> float | None:
    return None if logprob is None else max(LEAST, logprob)


def _completion_logprobs(tokens: Sequence[Token]) -> dict[str, Any]:
    """Log probabilities as /v1/completions has them."""
    offsets, length = list[int](), 0
    for token in tokens:
        offsets.append(length)
        length += len(token.text)
    tops = [None if token.logprob is None else _by_text((token, *token.top)) for token in tokens]
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [_number(token.logprob) for token in tokens],
        "top_logprobs": tops,
        "text_offset": offsets,
    }


def _by_text(tokens: Sequence[Token]) -> dict[str, float]:
    """Log probabilities by text; of those with the same text, as parts of letters have, the highest."""
    by_text: dict[str, float] = {}
    for token in tokens:
        if token.logprob is not None:
            by_text[token.text] = max(by_text.get(token.text, LEAST), token.logprob)
    return by_text


def _chat_logprobs(tokens: Sequence[Token]) -> dict[str, Any]:
    """Log probabilities as /v1/chat/completions has them."""

    def plain(token: Token) -> dict[str, Any]:
        return {"token": token.text, "logprob": _number(token.logprob), "bytes": list(token.raw)}

    content = [{**plain(token), "top_logprobs": [plain(alternative) for alternative in token.top]} for token in tokens]
    return {"content": content, "refusal": None}
