"""Rows that judge answers: two that are compared, or one that is rated good or bad."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from gemmalocal.data import cells, turns
from gemmalocal.data.cells import Columns, UnusableRow
from gemmalocal.data.remarks import Remarks
from gemmalocal.records import Message, Record

LINE = "\n"  # between a question and its answer, for a model without a chat template
COMPARED = (  # columns of the answer that was liked more, and of the other
    ("chosen", "rejected"),
    ("accepted", "rejected"),
    ("chosen_response", "rejected_response"),
    ("response_j", "response_k"),
    ("preferred_output", "non_preferred_output"),  # OpenAI's
)
PROMPTS = ("prompt", "instruction", "question", "query", "input", "inputs", "problem")  # in text, or in turns
MORE = ("input", "context")  # what an instruction is about
SCORES = ("score_chosen", "score_rejected", "chosen_score", "rejected_score", "chosen_rating", "rejected_rating")
LABELS = ("label", "thumbs_up", "thumb", "thumbs", "liked", "feedback", "vote", "rating")
GOOD = {"true", "yes", "good", "up", "thumbs up", "thumbs_up", "thumb up", "like", "liked", "desirable", "chosen", "👍"}
BAD = {
    *("false", "no", "bad", "down", "thumbs down", "thumbs_down", "thumb down", "dislike", "disliked"),
    *("undesirable", "rejected", "👎"),
}
SPEAKERS = {"Human": "user", "Assistant": "assistant"}
SPOKEN = re.compile(r"(?:\A|\n\n)\s*(Human|Assistant):")  # a conversation as HH-RLHF writes it

NEEDED = {  # by what rows are for, what helps where none is
    "pairs": "This objective needs rows with a prompt, a chosen and a rejected answer. For others: objective.kind.",
    "rated": "kto needs rows with a prompt, a completion and a label, or pairs of answers. For others: objective.kind.",
}


class Compared(NamedTuple):
    """The columns of a row that compares; without `prompt` each answer is a whole conversation."""

    prompt: str
    chosen: str
    rejected: str

    @classmethod
    def of(cls, columns: Columns) -> Compared | None:
        """Those of a row's columns; None if it does not compare."""
        names = next((pair for pair in COMPARED if pair[0] in columns and pair[1] in columns), None)
        if names is None:
            return None
        prompts = (*PROMPTS, *turns.CONVERSATIONS)
        return cls(next((name for name in prompts if name in columns), ""), *names)


def compared(columns: Columns, names: Compared, source: str, remarks: Remarks, merge: bool) -> Record:
    """A row with two answers to one prompt; raises `UnusableRow`."""
    chosen: Sequence[Message]
    rejected: Sequence[Message]
    chosen, rejected = (_side(columns, name, "assistant", remarks) for name in names[1:])
    prompt: Sequence[Message] = ()
    if chosen[0].role == "assistant" or rejected[0].role == "assistant":
        prompt = _prompt(columns, names.prompt, remarks)
        if not prompt:
            return _written_out(chosen, rejected, source)
    elif names.prompt and turns.is_turns(columns[names.prompt]):
        prompt = _prompt(columns, names.prompt, remarks)
        if tuple(chosen[: len(prompt)]) == tuple(prompt):
            prompt = ()
    prompt = turns.with_system(columns, prompt, remarks) if prompt else prompt
    chosen, rejected = (
        _conversation((*prompt, *answer), name, remarks, merge)
        for name, answer in zip(names[1:], (chosen, rejected), strict=True)
    )
    border = len(list(turns.merged(prompt)) if merge else prompt) or _common(chosen, rejected)
    _check(chosen, rejected, border, names)
    between = "" if names.prompt == "prompt" else LINE
    return Record(source, chosen, between=between, prompt_turns=border, rejected=rejected[border:])


def _conversation(messages: Sequence[Message], name: str, remarks: Remarks, merge: bool) -> tuple[Message, ...]:
    if messages[-1].role != "assistant":
        raise UnusableRow(f"has no answer in '{name}': it ends with a {messages[-1].role}'s message")
    return turns.conversation(messages, remarks, merge)


def _common(chosen: Sequence[Message], rejected: Sequence[Message]) -> int:
    """How many turns two conversations have in common."""
    pairs = zip(chosen, rejected, strict=False)
    shortest = min(len(chosen), len(rejected))
    return next((number for number, (left, right) in enumerate(pairs) if left != right), shortest)


def _check(chosen: Sequence[Message], rejected: Sequence[Message], border: int, names: Compared) -> None:
    """Raise `UnusableRow` unless two conversations are different answers to the same prompt."""
    if _same(chosen, rejected):
        raise UnusableRow("has a chosen and a rejected answer that are equal")
    if not border:
        raise UnusableRow("has no common prompt: its answers begin with different messages")
    for whole, name in zip((chosen, rejected), names[1:], strict=True):
        if len(whole) == border:
            raise UnusableRow(f"has nothing in '{name}' after the prompt that both answers have")
    if {chosen[border].role, rejected[border].role} != {"assistant"}:
        raise UnusableRow("has no common prompt: its answers are to different questions")


def _same(chosen: Sequence[Message], rejected: Sequence[Message]) -> bool:
    both = ([(turn.role, turn.content.strip()) for turn in answer] for answer in (chosen, rejected))
    return next(both) == next(both)


def _prompt(columns: Columns, name: str, remarks: Remarks) -> list[Message]:
    """What both answers are to; nothing without such a column. A question that waits for its answer asks for it."""
    if not name:
        return []
    prompt = _side(columns, name, "user", remarks)
    if name == "instruction":
        more = [cells.content(columns, extra) for extra in MORE if not cells.is_missing(columns.get(extra))]
        prompt[-1] = Message(prompt[-1].role, "\n\n".join([prompt[-1].content, *more]))
    return prompt


def _side(columns: Columns, name: str, role: str, remarks: Remarks) -> list[Message]:
    """A cell with turns, one turn, or text: of a `role`, or a conversation as HH-RLHF writes it."""
    value = columns.get(name)
    if isinstance(value, dict):
        value = value.get("messages") or [value]
    if turns.is_turns(said := turns.turns_in(value)):
        return list(turns.messages(said, remarks))
    text = cells.content(columns, name)
    return _spoken(text, name) or [Message(role, text)]


def _spoken(text: str, name: str) -> list[Message]:
    """The turns of a text that begins with a speaker's name; nothing for other text."""
    if not SPOKEN.match(text):
        return []
    _, *parts = SPOKEN.split(text)
    messages = [Message(SPEAKERS[who], said.strip()) for who, said in zip(parts[::2], parts[1::2], strict=True)]
    if not messages[-1].content and messages[-1].role == "assistant":
        messages.pop()  # it asks for the answer
    if empty := next((message for message in messages if not message.content), None):
        raise UnusableRow(f"has an empty message in '{name}', of the {empty.role}")
    return messages


def _written_out(chosen: Sequence[Message], rejected: Sequence[Message], source: str) -> Record:
    """Two texts without a prompt's column: it is what they have in common, up to the end of a word."""
    texts = [answer[0].content for answer in (chosen, rejected)]
    if len(chosen) + len(rejected) > 2:
        raise UnusableRow("has no prompt: its answers begin with the assistant's message")
    if texts[0].strip() == texts[1].strip():
        raise UnusableRow("has a chosen and a rejected answer that are equal")
    end = next((place for place, (left, right) in enumerate(zip(*texts, strict=False)) if left != right), 0)
    end = end or min(map(len, texts))
    while end and any(_inside_word(text, end) for text in texts):
        end -= 1
    prompt = texts[0][:end].removesuffix(" ")
    answers = [text[len(prompt) :] for text in texts]
    if not prompt.strip():
        raise UnusableRow("has no common prompt: its answers begin differently")
    if not all(answer.strip() for answer in answers):
        raise UnusableRow("has an empty answer: it is nothing but the beginning of the other")
    pair = Message("user", prompt), Message("assistant", answers[0])
    return Record(source, pair, prompt_turns=1, rejected=(Message("assistant", answers[1]),))


def _inside_word(text: str, place: int) -> bool:
    return place < len(text) and text[place - 1].isalnum() and text[place].isalnum()


def label_column(columns: Columns, numbers: bool) -> str:
    """The column that says whether an answer is good; "" if none does. `numbers`: 1 and 0 say it too."""
    return next((name for name in LABELS if name in columns and _good(columns[name], numbers) is not None), "")


def _good(value: Any, numbers: bool) -> bool | None:
    """Whether a cell says good or bad; None for anything else."""
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in GOOD or word in BAD:
        return word in GOOD
    number = cells.number(value) if numbers else None
    return number > 0 if number in (-1, 0, 1) else None


def rated(record: Record, columns: Columns, name: str) -> Record:
    """A row whose last answer is good or bad, as the column `name` says; raises `UnusableRow`."""
    good = _good(columns.get(name), numbers=True)
    if good is None:
        raise UnusableRow(f"has no label, good or bad, in '{name}': it is {columns.get(name)!r}")
    answers = [number for number, turn in enumerate(record.messages) if turn.role == "assistant"]
    if not answers or not answers[-1]:
        raise UnusableRow("has a label, and no answer to a prompt")
    return Record(
        record.source, record.messages[: answers[-1] + 1], between=record.between, prompt_turns=answers[-1], label=good
    )


def used(record: Record, use: str) -> tuple[Record, ...]:
    """What a record is to an objective that compares (`pairs`), rates (`rated`) or imitates (""); raises `UnusableRow`.

    Imitated are chosen answers and good ones: a bad one is nothing.
    """
    if use == record.kind:
        return (record,)
    if use == "pairs":
        raise UnusableRow("compares no two answers")
    if use == "rated":
        if record.kind != "pairs":
            raise UnusableRow("has no label that says whether its answer is good or bad")
        return record.answers
    return (record.imitated,) if record.label is not False else ()
