"""Rows that compare two answers to one prompt, in the columns that people and the Hub give them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from gemmalocal.data import cells, turns
from gemmalocal.data.cells import Columns, UnusableRow
from gemmalocal.data.remarks import CONTRADICTED, Remarks
from gemmalocal.records import Message, Record

LINE = "\n"  # between a question and its answer, for a model without a chat template
COMPARED = (  # columns of the answer that was liked more, and of the other
    ("chosen", "rejected"),
    ("accepted", "rejected"),
    ("chosen_response", "rejected_response"),
    ("response_j", "response_k"),
    ("preferred_output", "non_preferred_output"),  # OpenAI's
)
BESIDE = "rejected_response"  # beside a whole conversation, whose answer was chosen
CHOICES = (  # two answers, the column that says which is better, and what it says of the first and of the second
    ("response_0", "response_1", "better_response_id", ("0",), ("1",)),
    ("output_1", "output_2", "preference", ("1",), ("2",)),
    ("human_ref_A", "human_ref_B", "labels", ("1",), ("0",)),
    *(
        (f"{name}_a", f"{name}_b", "winner", ("a", "model_a", f"{name}_a"), ("b", "model_b", f"{name}_b"))
        for name in ("response", "answer", "conversation")
    ),
)
PROMPTS = ("prompt", "instruction", "question", "query", "input", "inputs", "problem", "history")  # text, or turns
MORE = ("input", "context")  # what an instruction is about
SCORES = (("score_chosen", "score_rejected"), ("chosen_score", "rejected_score"), ("chosen_rating", "rejected_rating"))
EQUAL = "has a chosen and a rejected answer that are equal"
SPEAKERS = {"Human": "user", "Assistant": "assistant"}
SPOKEN = re.compile(r"(?:\A|\n\n)\s*(Human|Assistant):")  # a conversation as HH-RLHF writes it


class Compared(NamedTuple):
    """The columns of a row that compares; without `prompt` each answer is a whole conversation."""

    prompt: str
    chosen: str
    rejected: str
    choice: str = ""  # the column that says which of the two was chosen

    @classmethod
    def of(cls, columns: Columns) -> Compared | None:
        """Those of a row's columns; None if it does not compare."""
        names = next((pair for pair in COMPARED if pair[0] in columns and pair[1] in columns), None)
        said = turns.conversation_column(columns)
        if names is None and said and BESIDE in columns:
            return cls("", said, BESIDE)
        choice = next((choice for choice in CHOICES if all(name in columns for name in choice[:3])), None)
        if names is None and choice is None:
            return None
        prompts = [name for name in (*PROMPTS, *turns.CONVERSATIONS) if name in columns]
        prompt = next((name for name in prompts if not cells.is_missing(columns[name])), (*prompts, "")[0])
        return cls(prompt, *names) if names else cls(prompt, *choice[:3]) if choice else None

    @property
    def used(self) -> set[str]:
        """The names of all columns that such a row may use."""
        scores = {name for pair in SCORES for name in pair}
        return {*self, *scores, *turns.CONVERSATIONS, *(MORE if self.prompt == "instruction" else ())}

    def decided(self, columns: Columns) -> Compared:
        """The same with the better answer as the chosen one; raises `UnusableRow` where none is better."""
        if not self.choice:
            return self
        _, _, _, first, second = next(choice for choice in CHOICES if choice[:3] == self[1:])
        verdict = (cells.as_text(columns[self.choice]) or "").strip().removesuffix(".0").lower()
        if verdict not in first + second:
            raise UnusableRow(f"has no better answer: '{self.choice}' says '{verdict[:40]}'")
        return self if verdict in first else self._replace(chosen=self.rejected, rejected=self.chosen)


def compared(columns: Columns, names: Compared, source: str, remarks: Remarks, merge: bool) -> Record:
    """A row with two answers to one prompt; raises `UnusableRow`."""
    names = names.decided(columns)
    _look_at_scores(columns, remarks)
    answers = [_side(columns, name, "assistant", remarks) for name in (names.chosen, names.rejected)]
    prompt: Sequence[Message] = _asked(columns, names, answers, remarks)
    if not prompt and all(answer[0].role == "assistant" for answer in answers):
        prompt, *answers = _written_out([answer[0].content for answer in answers])
    prompt = turns.with_system(columns, prompt, remarks) if prompt else prompt
    chosen, rejected = (
        _conversation(
            [*prompt, *answer] if prompt else turns.with_system(columns, answer, remarks), name, remarks, merge
        )
        for name, answer in zip(names[1:3], answers, strict=True)
    )
    border = _border(chosen, rejected, len(list(turns.merged(prompt)) if merge else prompt))
    _check(chosen, rejected, border, names)
    between = "" if names.prompt in ("", "prompt") else LINE
    return Record(source, chosen, between=between, prompt_turns=border, rejected=rejected[border:])


def _asked(columns: Columns, names: Compared, answers: Sequence[list[Message]], remarks: Remarks) -> list[Message]:
    """What stands before both answers; nothing where these are whole conversations."""
    begun = [answer for answer in answers if answer[0].role != "assistant"]
    if len(begun) == 2:
        if not names.prompt or not turns.is_turns(columns[names.prompt]):
            return []  # a text is what they begin with, once more
        prompt = _prompt(columns, names.prompt, remarks)
        return [] if any(answer[: len(prompt)] == prompt for answer in answers) else prompt
    if begun:  # one is a whole conversation, of which the other is another end
        prompt = begun[0][:-1]
        del begun[0][:-1]
        return prompt
    return _prompt(columns, names.prompt, remarks) if names.prompt else []


def _look_at_scores(columns: Columns, remarks: Remarks) -> None:
    """Tell of scores that contradict the choice."""
    for chosen, rejected in SCORES:
        if chosen in columns and rejected in columns:
            good, bad = cells.number(columns[chosen]), cells.number(columns[rejected])
            if good is not None and bad is not None and good <= bad:
                remarks.odd(CONTRADICTED, f"{chosen}: {good:g}, {rejected}: {bad:g}")


def _conversation(messages: Sequence[Message], name: str, remarks: Remarks, merge: bool) -> tuple[Message, ...]:
    if messages[-1].role != "assistant":
        raise UnusableRow(f"has no answer in '{name}': it ends with a {messages[-1].role}'s message")
    return turns.conversation(messages, remarks, merge)


def _border(chosen: Sequence[Message], rejected: Sequence[Message], prompt_turns: int) -> int:
    """Where the answers begin: after so many turns that are said to be the prompt, else after all that are common."""
    pairs = list(zip(chosen, rejected, strict=False))
    common = next((place for place, (left, right) in enumerate(pairs) if left != right), len(pairs))
    if not prompt_turns:
        return common
    return next(
        (place for place in range(prompt_turns, common) if chosen[place].role == "assistant"), max(prompt_turns, common)
    )


def _check(chosen: Sequence[Message], rejected: Sequence[Message], border: int, names: Compared) -> None:
    """Raise `UnusableRow` unless two conversations are different answers to the same prompt."""
    if _same(chosen, rejected):
        raise UnusableRow(EQUAL)
    if not border:
        raise UnusableRow("has no common prompt: its answers begin with different messages")
    for whole, name in zip((chosen, rejected), names[1:3], strict=True):
        if len(whole) == border:
            raise UnusableRow(f"has nothing in '{name}' after the prompt that both answers have")
    if {chosen[border].role, rejected[border].role} != {"assistant"}:
        raise UnusableRow("has no common prompt: its answers are to different questions")


def _same(chosen: Sequence[Message], rejected: Sequence[Message]) -> bool:
    both = ([(turn.role, turn.said.strip()) for turn in answer] for answer in (chosen, rejected))
    return next(both) == next(both)


def _prompt(columns: Columns, name: str, remarks: Remarks) -> list[Message]:
    """What both answers are to; an instruction with what it is about."""
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
    with suppress(UnusableRow):  # a text may begin as a list does
        value = turns.turns_in(value)
    if isinstance(value, list) and turns.is_turns(value):
        if messages := list(turns.messages(value, remarks)):
            return messages
        raise UnusableRow(f"has nothing in '{name}'")
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


def _written_out(texts: Sequence[str]) -> tuple[list[Message], list[Message], list[Message]]:
    """Two texts that begin with their prompt as that, up to the end of a word, and the answers."""
    if texts[0].strip() == texts[1].strip():
        raise UnusableRow(EQUAL)
    end = len(os.path.commonprefix(texts))
    while end and any(_inside_word(text, end) for text in texts):
        end -= 1
    prompt = texts[0][:end].removesuffix(" ")
    if not prompt.strip():
        raise UnusableRow("has no common prompt: its answers begin differently")
    chosen, rejected = (text[len(prompt) :] for text in texts)
    if not chosen.strip() or not rejected.strip():
        raise UnusableRow("has an empty answer: it is nothing but the beginning of the other")
    return [Message("user", prompt)], [Message("assistant", chosen)], [Message("assistant", rejected)]


def _inside_word(text: str, place: int) -> bool:
    return place < len(text) and text[place - 1].isalnum() and text[place].isalnum()
