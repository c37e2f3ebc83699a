"""Messages between a process and the one that reads for it: four bytes of length, then JSON. Nothing is executed."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from typing import Any

from gemmalocal.documents.document import Document, Section
from gemmalocal.records import Rejected

FrameMessage = dict[str, Any]
LENGTH = struct.Struct(">I")  # of the JSON that follows, in bytes
CHUNK = 1 << 20


def send(descriptor: int, message: FrameMessage) -> None:
    """Write a message whole; file names that are no UTF-8 keep their bytes."""
    content = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    remaining = memoryview(LENGTH.pack(len(content)) + content)
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]


class Inlet:
    """The messages that come out of a pipe."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._waiting = bytearray()

    @property
    def waiting(self) -> int:
        """Bytes of messages that have not come whole."""
        return len(self._waiting)

    def receive(self) -> bool:
        """Take what is there, or wait for it; False at the pipe's end."""
        block = os.read(self.descriptor, CHUNK)
        self._waiting += block
        return bool(block)

    def messages(self) -> Iterator[FrameMessage]:
        """Those that have come whole."""
        while len(self._waiting) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._waiting)[0]
            if len(self._waiting) < end:
                return
            content = self._waiting[LENGTH.size : end].decode("utf-8", "surrogatepass")
            del self._waiting[:end]
            yield json.loads(content)


def pack(item: Document | Rejected) -> list[Any]:
    """A document, or a row that could not be read, as JSON."""
    if isinstance(item, Rejected):
        return [item.source, item.reason, item.excerpt]
    sections = [[section.text, section.heading, section.page] for section in item.sections]
    return [item.source, item.title, sections, item.warnings]


def unpack(fields: list[Any]) -> Document | Rejected:
    """The inverse of `pack`."""
    if len(fields) == 3:
        return Rejected(*fields)
    source, title, sections, warnings = fields
    return Document(source, title, tuple(Section(*section) for section in sections), tuple(warnings))
