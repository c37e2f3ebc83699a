"""What readers of rows share: a row, its place, and lines of text out of bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, BinaryIO

from gemmalocal.documents.document import Unreadable
from gemmalocal.records import Rejected

SourceRow = tuple[str, dict[str, Any]]  # where it came from, its columns
SourceRows = Iterator[SourceRow | Rejected]
OnProgress = Callable[[int], None]  # told how many bytes have been read
LONGEST = 8 << 20  # bytes; a longer row is passed over, so that one broken line cannot fill the memory
OLD_MAC = 256 << 20  # bytes of a file whose lines end in a carriage return alone, which is held whole
SAMPLE = 1 << 16  # bytes in which the first line end is looked for
BOM, UTF16 = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
NOT_UTF8 = "is not UTF-8 text (save it as UTF-8)"
TURN = {"role", "from"}  # of these a turn of a conversation has one
KINDS = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}


def begin(raw: BinaryIO) -> BinaryIO:
    """A file behind its byte order mark, its lines ended by line feeds; raises `Unreadable` for UTF-16."""
    start = raw.read(SAMPLE)
    if start[:2] in UTF16 or b"\x00" in start[:2]:
        raise Unreadable(f"{NOT_UTF8}: it looks like UTF-16")
    behind = 3 if start.startswith(BOM) else 0
    raw.seek(behind)
    if b"\r" not in start or b"\n" in start:
        return raw
    content = raw.read(OLD_MAC + 1)
    if b"\n" in content or len(content) > OLD_MAC:
        raw.seek(behind)
        return raw
    return BytesIO(content.replace(b"\r", b"\n"))


def line(raw: BinaryIO) -> bytes:
    """The next line with its end; one that is too long is passed over and raises `Unreadable`."""
    content = raw.readline(LONGEST + 1)
    if len(content) <= LONGEST:
        return content
    while content and not content.endswith(b"\n"):
        content = raw.readline(LONGEST)
    raise Unreadable(f"is longer than {LONGEST >> 20} MB")


def text(content: bytes) -> str:
    """Bytes as text; raises `Unreadable` if they are no UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"{NOT_UTF8}: byte {error.start + 1} is 0x{content[error.start]:02x}") from error


def kind(value: Any) -> str:
    """What a value is, in a person's words."""
    return KINDS.get(type(value), "a number" if isinstance(value, (int, float)) else type(value).__name__)


def row(source: str, value: Any) -> SourceRow | Rejected:
    """A value as the row that it should be; a list of turns is one of messages."""
    if isinstance(value, dict):
        return source, value
    if isinstance(value, list) and value and all(isinstance(turn, dict) and turn.keys() & TURN for turn in value):
        return source, {"messages": value}
    return Rejected(source, f"is not an object with named columns: it is {kind(value)}", str(value)[:80])
