"""Torch's exceptions to ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gemmalocal import postmortem
from gemmalocal.errors import OutOfMemory

CPU = "can't allocate memory"  # what torch's CPU allocator says


@contextmanager
def translated() -> Iterator[None]:
    """Raise `OutOfMemory` for what torch says when memory is short; let all else pass."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _out_of_memory(error) from error
    except RuntimeError as error:
        if CPU not in str(error) and not isinstance(postmortem.known(str(error)), OutOfMemory):
            raise
        raise _out_of_memory(error) from error


def _out_of_memory(error: BaseException) -> OutOfMemory:
    first = str(error).partition("\n")[0]
    return OutOfMemory(f"{postmortem.MEMORY.message} ({first})", postmortem.MEMORY.hint)
