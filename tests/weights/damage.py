"""What tests of damaged models share: a refusal whose memory is bounded, and a seeded fuzz of a file's header."""

from __future__ import annotations

import random
import struct
import tracemalloc
from collections.abc import Callable

import pytest

from gemmalocal.errors import MISSING, ModelError

SEED, TRIES = 13, 300
MOST = 64_000_000  # bytes of memory that reading a header may take


def quiet(*what: object) -> None:
    return None


def refused(call: Callable[[], object], says: str = "", name: str = "") -> str:
    """What was said; the memory that it took is bounded."""
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match=says) as refusal:
            call()
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()
    assert refusal.value.code == MISSING
    assert name in refusal.value.message
    return refusal.value.message


def message(call: Callable[[], object]) -> str | None:
    """What our error says, if there is one."""
    try:
        call()
    except ModelError as error:
        return error.message
    return None


def harmed(whole: bytes, draw: random.Random, header: int) -> bytes:
    """A file with one to three faults in its first `header` bytes, or cut, or grown."""
    data = bytearray(whole)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(min(header, len(data)))
        match draw.randrange(6):
            case 0:
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                data[at] = draw.choice(b'\0\xff09-{}[]"')
            case 2:
                data[at : at + 8] = struct.pack("<Q", draw.choice([0, 1 << 31, 1 << 40, 1 << 63, (1 << 64) - 1]))
            case 3:
                del data[draw.randrange(8, len(data)) :]
            case 4:
                data[at:at] = bytes(draw.randrange(1, 9))
            case _:
                data += bytes(draw.randrange(1, 99))
    return bytes(data)
