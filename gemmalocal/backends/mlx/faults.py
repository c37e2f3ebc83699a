"""MLX's exceptions to ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gemmalocal.errors import OutOfMemory

SIGNS = ("out of memory", "malloc", "Insufficient Memory", "Resource limit", "bad_alloc", "Cannot allocate")


@contextmanager
def translated() -> Iterator[None]:
    """Raise `OutOfMemory` for what MLX says when memory does not suffice; let all else pass."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or any(sign in str(error) for sign in SIGNS):
            raise OutOfMemory(
                f"The work did not fit into memory ({error}).",
                "Set train.micro_batch to 1, train.checkpointing to true, or data.max_length lower; then resume.",
            ) from error
        raise
