"""How transformers is imported: without torch beside MLX, with it for the torch engine, in one process if need be.

mlx-lm brings transformers for its tokenizers, and transformers brings torch where that is installed: two seconds and
200 MB of each process, that nothing of ours uses.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

TORCH, TRANSFORMERS = "torch", "transformers"


@contextmanager
def without_torch() -> Iterator[None]:
    """What is imported meanwhile finds no torch, unless it is there already."""
    if TORCH in sys.modules:
        yield
        return
    sys.modules[TORCH] = None  # type: ignore[assignment]  # import machinery's word for a module that is not there
    try:
        yield
    finally:
        del sys.modules[TORCH]


def forget() -> None:
    """Let transformers be imported anew if it was imported without torch; who has its objects keeps them."""
    utilities = sys.modules.get(f"{TRANSFORMERS}.utils.import_utils")
    if utilities is not None and not utilities.is_torch_available():
        for name in [name for name in sys.modules if name.partition(".")[0] == TRANSFORMERS]:
            del sys.modules[name]
