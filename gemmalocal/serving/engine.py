"""What the front asks an engine, and what an engine tells it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from gemmalocal.tool_calls.grammars import Grammar


class Refused(Exception):
    """A request that is not served, with the protocol's status, what was wrong with which field, and a code."""

    def __init__(self, message: str, status: int = 400, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message, self.status, self.param, self.code = message, status, param, code


@dataclass(frozen=True)
class GenerationRequest:
    """One answer that is wanted: of a `prompt` (text, or ids as they are) or of `messages`."""

    prompt: str | list[int] = ""
    messages: list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None
    must_call: bool = False  # a tool has to be called: the one that is `called`, if that is not empty, else any
    called: str = ""
    one_call: bool = False  # at most
    schema: dict[str, Any] | None = None  # response_format
    thinking: bool | None = None
    max_tokens: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: dict[int, float] = field(default_factory=dict)
    seed: int | None = None
    top: int | None = None  # how many of the likeliest tokens are told beside each; None: no log probabilities
    scores: bool = False  # log probabilities of the prompt's tokens too


@dataclass(frozen=True)
class Token:
    """A token as text and bytes, its log probability (None: it is the first), and the likeliest in its place."""

    text: str
    raw: bytes
    logprob: float | None
    top: tuple[Token, ...] = ()


@dataclass(frozen=True)
class Begun:
    """The prompt was read: its count of tokens, if known by now, and their log probabilities, if they were asked."""

    prompt_tokens: int | None = None
    scores: tuple[Token, ...] = ()


@dataclass(frozen=True)
class GeneratedPiece:
    """What was said since the last one; the last has a `finish` (stop, length, tool_calls)."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[dict[str, Any], ...] = ()
    tokens: tuple[Token, ...] = ()
    count: int = 0  # tokens
    finish: str | None = None
    prompt_tokens: int | None = None


GenerationUpdate = Begun | GeneratedPiece | Refused


@dataclass(frozen=True)
class EngineLimits:
    """What an engine bears: ids below `vocabulary`, `context` tokens of prompt and answer; and what else it can do."""

    vocabulary: int
    context: int
    grammar: Grammar | None = None  # of calls that stand in the text; None where tools cannot be told
    forces_tools: bool = False  # tool_choice: required, or a function by its name
    schemas: bool = False  # response_format


class Engine(Protocol):
    """Something that answers."""

    @property
    def limits(self) -> EngineLimits:
        """What it bears and can do."""

    def start(self, ask: GenerationRequest, tell: Callable[[GenerationUpdate], None]) -> Callable[[], None]:
        """Begin an answer, and `tell` it from another thread: `Begun`, then pieces; a `Refused` ends it too.

        What is returned ends it early; it may be called at any time.
        """

    def text(self, ids: list[int]) -> str:
        """The text of ids."""
