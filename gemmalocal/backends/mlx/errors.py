"""MLX's exceptions to ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gemmalocal.errors import OutOfMemory
from gemmalocal.jobs import exit_causes


@contextmanager
def translated() -> Iterator[None]:
    """Raise `OutOfMemory` or `WorkKilled` for what MLX says when a machine gives up; let all else pass."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemory(f"{exit_causes.MEMORY.message} ({error})", exit_causes.MEMORY.hint) from error
    except RuntimeError as error:
        if (failure := exit_causes.from_text(str(error))) is None:
            raise
        failure.message += f" ({error})"
        raise failure from error
