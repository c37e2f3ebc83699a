"""The ways in which models write calls of tools: FunctionGemma's, Gemma 4's, and Hermes' for a Gemma that has none."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gemmalocal.records import ToolCall


@dataclass(frozen=True)
class Grammar:
    """Marks around a call and around a tool's answer.

    `quote` stands around texts in arguments; a grammar without one has its calls as JSON. Where answers stand `within`
    the model's own turn, the mark before them is what ends what the model says.
    """

    name: str
    call_start: str
    call_end: str
    answer_start: str
    answer_end: str
    quote: str = ""

    @property
    def within(self) -> bool:
        """Whether tools answer inside the model's turn."""
        return bool(self.quote)

    @property
    def marks(self) -> tuple[str, ...]:
        """What a call is written with."""
        return tuple(filter(None, (self.call_start, self.call_end, self.quote)))


FUNCTION_GEMMA = Grammar(
    "FunctionGemma",
    "<start_function_call>", "<end_function_call>", "<start_function_response>", "<end_function_response>", "<escape>",
)  # fmt: skip
GEMMA_4 = Grammar("Gemma 4", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>')
PLAIN = Grammar("plain", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
GRAMMARS = (FUNCTION_GEMMA, GEMMA_4, PLAIN)


def of_template(source: str) -> Grammar | None:
    """The grammar in which a chat template writes calls; None for one that knows no tools."""
    return next((grammar for grammar in GRAMMARS if grammar.call_start in source and grammar.call_end in source), None)


def digest(source: str) -> str:
    """A template's version: the first digits of the SHA-256 of its text, whose line ends and last lines do not count.

    Copies differ in these, and Jinja leaves a last line end out.
    """
    return hashlib.sha256(source.replace("\r\n", "\n").rstrip().encode(errors="surrogatepass")).hexdigest()[:12]


def written(calls: Sequence[ToolCall], grammar: Grammar) -> str:
    """Calls as a model says them."""
    return "".join(f"{grammar.call_start}{_body(call, grammar)}{grammar.call_end}" for call in calls)


def opening(grammar: Grammar, name: str = "") -> str:
    """How a call begins, of a tool or of any: who has to go on from it calls one."""
    if not grammar.quote:
        return f"{grammar.call_start}\n" + (f'{{"name": {json.dumps(name)}, "arguments":' if name else "")
    return grammar.call_start + (f"call:{name}{{" if name else "")


def _body(call: ToolCall, grammar: Grammar) -> str:
    if not grammar.quote:
        return "\n" + json.dumps({"name": call.name, "arguments": call.values}, ensure_ascii=False) + "\n"
    return f"call:{call.name}{value_text(call.values, grammar.quote)}"


def value_text(value: Any, quote: str) -> str:
    """A value as arguments have it: keys bare and in their order by letters, texts in quotes."""
    match value:
        case str():
            return f"{quote}{value}{quote}"
        case bool():
            return "true" if value else "false"
        case dict():
            pairs = sorted(value.items(), key=lambda pair: pair[0].lower())
            return "{" + ",".join(f"{key}:{value_text(inner, quote)}" for key, inner in pairs) + "}"
        case list():
            return "[" + ",".join(value_text(inner, quote) for inner in value) + "]"
        case float() if not math.isfinite(value):
            return "None"
    return str(value)
