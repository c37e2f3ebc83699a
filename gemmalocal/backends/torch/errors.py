"""Torch's exceptions to ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gemmalocal.errors import OutOfMemory, WorkKilled
from gemmalocal.jobs import exit_causes

CPU = "can't allocate memory"  # what torch's CPU allocator says


@contextmanager
def translated() -> Iterator[None]:
    """Raise `OutOfMemory` where memory is short and `WorkKilled` where another rank is gone; let all else pass."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _out_of_memory(error) from error
    except RuntimeError as error:
        failure = exit_causes.from_text(str(error))
        if CPU in str(error) or isinstance(failure, OutOfMemory):
            raise _out_of_memory(error) from error
        if isinstance(failure, WorkKilled):
            raise failure from error
        raise


def _out_of_memory(error: BaseException) -> OutOfMemory:
    first_line = str(error).partition("\n")[0]
    return OutOfMemory(f"{exit_causes.MEMORY.message} ({first_line})", exit_causes.MEMORY.hint)
