"""A record to ids and weights: every assistant turn and its terminator is supervised, nothing else.

Pieces are tokenized one by one, as generation does it: the prompt that a model meets later has the same ids.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gemmalocal.data.tokenizer import TURN_ENDS, TemplateRefused, Tokenizer
from gemmalocal.records import Message, Record, Rejected

Piece = tuple[str, bool]  # text, supervised


@dataclass(frozen=True)
class Example:
    """`ids` (length,) int32 and `weights` (length,) float32, 1 where a token is to be learned."""

    ids: NDArray[np.int32]
    weights: NDArray[np.float32]
    source: str
    cut: bool = False

    @property
    def supervised(self) -> int:
        """How many tokens are learned."""
        return int(self.weights.sum())


def pieces(record: Record, tokenizer: Tokenizer) -> list[Piece]:
    """A record as text in order, each piece supervised or not; raises `TemplateRefused`.

    A model without a chat template gets a single prompt and completion as plain text.
    """
    if record.text:
        return [(tokenizer.bos, False), (record.text + tokenizer.eos, True)]
    roles = [message.role for message in record.messages]
    if not tokenizer.has_template and roles == ["user", "assistant"]:
        prompt, completion = (message.content for message in record.messages)
        return [(tokenizer.bos + prompt, False), (completion + tokenizer.eos, True)]
    return _turns(record.messages, tokenizer)


def _turns(messages: tuple[Message, ...], tokenizer: Tokenizer) -> list[Piece]:
    found: list[Piece] = []
    written = ""
    for index, message in enumerate(messages):
        if message.role != "assistant":
            continue
        asked = tokenizer.render(messages[:index], ask=True)
        answered = tokenizer.render(messages[: index + 1], ask=False)
        shared = os.path.commonprefix([asked, answered])
        if not shared.startswith(written):
            raise TemplateRefused("is rendered differently once the conversation goes on")
        reply = answered[len(shared) :]
        end = max(reply.rfind(mark) + len(mark) for mark in TURN_ENDS if mark in reply) if _ends(reply) else len(reply)
        # What the template opens a reply with, but leaves out of history (Gemma 4's empty thought), belongs to the
        # last turn, where the model will meet it.
        opening = asked[len(shared) :] if index == len(messages) - 1 else ""
        found += [(shared[len(written) :] + opening, False), (reply[:end], True), (reply[end:], False)]
        written = answered
    return found


def _ends(reply: str) -> bool:
    return any(mark in reply for mark in TURN_ENDS)


def to_example(record: Record, tokenizer: Tokenizer, max_length: int) -> Example | Rejected:
    """Ids and weights of a record, cut at `max_length` tokens; rejected if nothing is left to learn."""
    try:
        parts = pieces(record, tokenizer)
    except TemplateRefused as problem:
        return Rejected(record.source, str(problem))
    ids: list[int] = []
    weights: list[float] = []
    for text, supervised in parts:
        encoded = tokenizer.encode(text)
        ids += encoded
        weights += [float(supervised)] * len(encoded)
    example = Example(
        np.array(ids[:max_length], np.int32),
        np.array(weights[:max_length], np.float32),
        record.source,
        cut=len(ids) > max_length,
    )
    if not example.weights[1:].any():
        why = f"has no supervised token within {max_length} tokens" if example.cut else "has no supervised token"
        return Rejected(record.source, why)
    return example


def to_examples(
    records: Iterable[Record], tokenizer: Tokenizer, max_length: int
) -> tuple[list[Example], list[Rejected]]:
    """All examples of some records, and what could not become one."""
    examples: list[Example] = []
    rejected: list[Rejected] = []
    for record in records:
        result = to_example(record, tokenizer, max_length)
        if isinstance(result, Example):
            examples.append(result)
        else:
            rejected.append(result)
    return examples, rejected
