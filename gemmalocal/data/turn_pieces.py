"""A conversation as text in order, each piece with its weight: what the model says with its end is learned.

What tools answer is given, also where it stands inside the model's turn; the mark that ends a call is said.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from gemmalocal.data.tokenizer import TURN_ENDS, TemplateRefused, Tokenizer
from gemmalocal.records import Message, Record
from gemmalocal.tool_calls import parser
from gemmalocal.tool_calls.grammars import Grammar

WeighedText = tuple[str, float]  # text, and the weight of its tokens, from 0 (given) to 1 (learned)


class Weights(Protocol):
    """What of a row is learned: the weight of the reply at an index, and that of all else."""

    def weight(self, record: Record, index: int) -> float:
        """Of the reply at an index of a record's messages."""

    @property
    def given(self) -> float:
        """Of what is no reply."""


def pieces_of_turns(record: Record, tokenizer: Tokenizer, weights: Weights) -> list[WeighedText]:
    """The pieces of a record's conversation; raises `TemplateRefused`, and `ModelError` as `Tokenizer.render`."""
    parts: list[WeighedText] = []
    rendered = ""
    messages = _with_late_thoughts(record.messages)
    grammar = tokenizer.grammar if record.tools or any(message.tool_use for message in messages) else None
    # What the template opens a reply with, but leaves out of history (Gemma 4's empty thought), belongs to the last
    # turn, where the model will meet it, and to the first after a prompt of its own, so that all answers to it begin
    # at the same token.
    opened = {record.prompt_turns or len(messages) - 1, len(messages) - 1}
    for index, message in enumerate(messages):
        if message.role != "assistant":
            continue
        end = _answered(messages, index) if grammar and grammar.within and message.calls else index + 1
        prompt = tokenizer.render(messages[:index], True, record.tools)
        conversation = tokenizer.render(messages[:end], False, record.tools)
        # The reply is what the whole conversation has beyond the text that the model is asked to go on from.
        shared = _shared(prompt, conversation, tokenizer)
        if not shared.startswith(rendered):
            raise TemplateRefused("is rendered differently once the conversation goes on")
        opening = prompt[len(shared) :] if index in opened else ""
        parts.append((shared[len(rendered) :] + opening, weights.given))
        weight = weights.weight(record, index)
        reply = conversation[len(shared) :]
        parts += [(text, weight if said else weights.given) for text, said in _said(reply, grammar)]
        rendered = conversation
    return parts


def _answered(messages: Sequence[Message], index: int) -> int:
    """Where the answers of tools to the calls at an index end."""
    return next((place for place in range(index + 1, len(messages)) if messages[place].role != "tool"), len(messages))


def _with_late_thoughts(messages: Sequence[Message]) -> Sequence[Message]:
    """Without thoughts before the last question, which templates leave out of history."""
    asked = max((place for place, message in enumerate(messages) if message.role == "user"), default=0)
    if not any(message.tool_use and message.tool_use.thought for message in messages[:asked]):
        return messages
    return [
        replace(turn, tool_use=replace(turn.tool_use, thought="")) if turn.tool_use and place < asked else turn
        for place, turn in enumerate(messages)
    ]


def _said(reply: str, grammar: Grammar | None) -> Iterator[tuple[str, bool]]:
    """A reply with what follows it in pieces, each said by the model or not."""
    place = 0
    if grammar and grammar.within:
        for text, said in _around_answers(reply, grammar):
            yield text, said
            place += len(text)
    rest = reply[place:]
    end = max((rest.rfind(mark) + len(mark) for mark in TURN_ENDS if mark in rest), default=len(rest))
    yield rest[:end], True
    yield rest[end:], False


def _around_answers(reply: str, grammar: Grammar) -> Iterator[tuple[str, bool]]:
    """What the model says up to each of the tools' answers inside its turn, with the mark that ends it, and these."""
    begin = place = 0
    while (answer := reply.find(grammar.answer_start, place)) >= 0:
        call = reply.find(grammar.call_start, place)
        if 0 <= call < answer:
            try:
                _, place = parser.call_at(reply, call, grammar)
            except parser.Broken:
                place = call + len(grammar.call_start)
            continue
        stop = answer + len(grammar.answer_start) if answer > begin else answer
        place = parser.answer_end(reply, answer, grammar) if reply[stop:] else stop
        yield reply[begin:stop], True
        yield reply[stop:place], False
        begin = place


def _shared(prompt: str, conversation: str, tokenizer: Tokenizer) -> str:
    """What a prompt and the conversation that goes on from it have in common, before the reply."""
    if conversation.startswith(prompt):
        return prompt
    unopened = prompt.removesuffix(tokenizer.opening)
    return unopened if conversation.startswith(unopened) else os.path.commonprefix([prompt, conversation])
