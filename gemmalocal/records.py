"""What a training record is: a conversation, or plain text, and where it came from."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

Tell = Callable[[str, int, int], None]  # takes the progress of long work: what, done, total
ROLES = ("system", "user", "assistant", "tool")
LINE_ENDS = "\r\n"
RowKind = Literal["", "pairs", "rated"]  # of records: to be imitated, compared, or single answers with a label
TRAIN_FILE, HELD_OUT_FILE = "train.jsonl", "held_out.jsonl"  # what makes a folder a dataset of ours


@dataclass(frozen=True)
class ToolCall:
    """A tool that is to be called by its `name`; its `arguments` are the text of a JSON object."""

    name: str
    arguments: str = "{}"
    id: str = ""

    @property
    def values(self) -> dict[str, Any]:
        """The arguments as values."""
        values: dict[str, Any] = json.loads(self.arguments)
        return values

    @property
    def as_protocol(self) -> dict[str, Any]:
        """The call as OpenAI's protocol has it."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": self.id, "type": "function", "function": function}


@dataclass(frozen=True)
class ToolUse:
    """What a turn has to do with tools.

    A reply has `calls`, perhaps with a `thought` before them. A tool's turn has the `name` of the tool that answers,
    and the `call_id` of what it answers; it is `structured` if its content is the text of a JSON object that its row
    has as an object, and not as text.
    """

    calls: tuple[ToolCall, ...] = ()
    thought: str = ""
    name: str = ""
    call_id: str = ""
    structured: bool = False


@dataclass(frozen=True)
class Message:
    """One turn; `role` is one of `ROLES`. A reply is `learned`, unless its row gives it no weight."""

    role: str
    content: str
    learned: bool = True
    weight: float = 1.0  # of what is learned, from 0 to 1
    tool_use: ToolUse | None = None

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tools that it calls."""
        return self.tool_use.calls if self.tool_use else ()

    @property
    def said(self) -> str:
        """Its content; with calls, these as JSON behind it, as OpenAI's protocol has them."""
        if not self.calls:
            return self.content
        calls = [{"name": call.name, "arguments": call.values} for call in self.calls]
        text = json.dumps({"tool_calls": calls}, ensure_ascii=False)
        return f"{self.content}\n{text}" if self.content.strip() else text


@dataclass(frozen=True)
class Record:
    """Messages, or (if there are none) plain text that is supervised from its first to its last token.

    `between` stands between a prompt and its completion where a model has no chat template: what somebody wrote as
    prompt and completion is joined as it is, turns of a conversation are not. Of a row with a prompt of its own, the
    first `prompt_turns` messages are that, and only what follows them is learned: an answer that has a `label` (good or
    bad), or that was chosen over the turns `rejected`, which stand in its place.
    """

    source: str
    messages: tuple[Message, ...] = ()
    text: str = ""
    between: str = ""
    prompt_turns: int = 0
    rejected: tuple[Message, ...] = ()
    label: bool | None = None
    weight: float = 1.0  # of plain text, from 0 to 1; a message has its own
    tools: str = ""  # those that may be called, as the text of a JSON list

    def weighed(self, weight: float) -> Record:
        """With all that is learned counting by this weight, from 0 to 1."""
        turns, rejected = (
            tuple(replace(turn, weight=turn.weight * weight) for turn in side)
            for side in (self.messages, self.rejected)
        )
        return replace(self, messages=turns, rejected=rejected, weight=self.weight * weight)

    @property
    def kind(self) -> RowKind:
        """Whether it compares two answers, rates one, or is to be imitated."""
        return "pairs" if self.rejected else "" if self.label is None else "rated"

    @property
    def prompt(self) -> tuple[Message, ...]:
        """The turns that an answer is compared or rated for; none of a row without a prompt of its own."""
        return self.messages[: self.prompt_turns]

    @property
    def answers(self) -> tuple[Record, ...]:
        """A row that compares as two rated rows, the chosen answer first; any other as it is."""
        if not self.rejected:
            return (self,)
        rejected = replace(self, messages=self.prompt + self.rejected, rejected=(), label=False)
        return replace(self, rejected=(), label=True), rejected

    @property
    def imitated(self) -> Record:
        """The answer alone, without a judgement."""
        return replace(self, rejected=(), label=None)

    @property
    def key(self) -> int:
        """A 64-bit hash of the content, blind to case, width and white space, that decides the side of a record.

        Of a row with a prompt of its own it is the prompt's: no prompt stands on both sides.
        """
        return _key(self.prompt or self.messages, self.text)

    @property
    def near_key(self) -> int:
        """As `key`, of all of the content: records of one are near copies."""
        return _key(self.messages + self.rejected, self.text)

    @property
    def identity(self) -> int:
        """A 64-bit hash of the content as it is, line ends at the end of a text aside: equal ones are duplicates.

        It holds within this process.
        """
        if not self.messages:
            return hash(self.text.rstrip(LINE_ENDS))
        every = self.messages + self.rejected
        turns: list[object] = [(turn.role, turn.content.rstrip(LINE_ENDS), turn.learned) for turn in every]
        turns += [turn.tool_use for turn in every if turn.tool_use]
        if self.tools:
            turns.append(self.tools)
        return hash((*turns, len(self.messages), self.label)) if self.kind else hash(tuple(turns))

    @property
    def is_exchange(self) -> bool:
        """Whether it is a single exchange: a prompt and its completion (or two of them), and nothing else."""
        if self.tools:
            return False
        roles = [message.role for message in self.messages]
        return roles == ["user", "assistant"] and len(self.rejected) < 2 and not self.messages[1].tool_use

    @property
    def reply(self) -> str:
        """The last assistant turn, calls of tools as JSON; empty for plain text."""
        return next((message.said for message in reversed(self.messages) if message.role == "assistant"), "")


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used: `reason` reads on from its source ("rows.jsonl:3 is not JSON: ...").

    What stands before the first ": " is its kind, of which there are few; `excerpt` is the beginning of the row.
    """

    source: str
    reason: str
    excerpt: str = ""

    @property
    def kind(self) -> str:
        """The reason without its details."""
        return self.reason.partition(": ")[0]

    @property
    def detail(self) -> str:
        """What the reason says beyond its kind."""
        return self.reason.partition(": ")[2]


def _key(messages: tuple[Message, ...], text: str) -> int:
    parts = [f"{message.role}\x00{message.said if message.tool_use else message.content}" for message in messages] or [
        text
    ]
    plain = "\x01".join([" ".join(_normal(part).casefold().split()) for part in parts])
    return int.from_bytes(hashlib.sha256(plain.encode(errors="surrogatepass")).digest()[:8], "big")


def _normal(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFKC", text)
