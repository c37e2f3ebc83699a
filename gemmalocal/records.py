"""What a training record is: a conversation, or plain text, and where it came from."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

Tell = Callable[[str, int, int], None]  # takes the progress of long work: what, done, total
ROLES = ("system", "user", "assistant")
LINE_ENDS = "\r\n"
TRAIN_FILE, HELD_OUT_FILE = "train.jsonl", "held_out.jsonl"  # what makes a folder a dataset of ours


@dataclass(frozen=True)
class Message:
    """One turn; `role` is one of `ROLES`. A reply is `learned`, unless its row gives it no weight."""

    role: str
    content: str
    learned: bool = True


@dataclass(frozen=True)
class Record:
    """Messages, or (if there are none) plain text that is supervised from its first to its last token.

    `between` stands between a prompt and its completion where a model has no chat template: what somebody wrote as
    prompt and completion is joined as it is, turns of a conversation are not.
    """

    source: str
    messages: tuple[Message, ...] = ()
    text: str = ""
    between: str = ""

    @property
    def key(self) -> int:
        """A 64-bit hash of the content, blind to case, width and white space: records of one key are near copies."""
        parts = [f"{message.role}\x00{message.content}" for message in self.messages] or [self.text]
        plain = "\x01".join([" ".join(_normal(part).casefold().split()) for part in parts])
        return int.from_bytes(hashlib.sha256(plain.encode(errors="surrogatepass")).digest()[:8], "big")

    @property
    def identity(self) -> int:
        """A 64-bit hash of the content as it is, line ends at the end of a text aside: equal ones are duplicates.

        It holds within this process.
        """
        if not self.messages:
            return hash(self.text.rstrip(LINE_ENDS))
        return hash(tuple([(turn.role, turn.content.rstrip(LINE_ENDS), turn.learned) for turn in self.messages]))

    @property
    def is_pair(self) -> bool:
        """Whether it is a single exchange: a prompt and its completion, and nothing else."""
        return [message.role for message in self.messages] == ["user", "assistant"]

    @property
    def reply(self) -> str:
        """The last assistant turn; empty for plain text."""
        return next((message.content for message in reversed(self.messages) if message.role == "assistant"), "")


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


def _normal(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFKC", text)
