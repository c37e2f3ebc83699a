"""What a training record is: a conversation, or plain text, and where it came from."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Message:
    """One turn; `role` is one of `ROLES`."""

    role: str
    content: str


@dataclass(frozen=True)
class Record:
    """Messages, or (if there are none) plain text that is supervised from its first to its last token."""

    source: str
    messages: tuple[Message, ...] = ()
    text: str = ""

    @property
    def key(self) -> str:
        """A hash of the content, blind to case, width and white space: equal keys are the same record."""
        parts = [f"{message.role}\x00{message.content}" for message in self.messages] or [self.text]
        plain = "\x01".join(" ".join(unicodedata.normalize("NFKC", part).casefold().split()) for part in parts)
        return hashlib.sha256(plain.encode()).hexdigest()


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used, and why."""

    source: str
    reason: str
