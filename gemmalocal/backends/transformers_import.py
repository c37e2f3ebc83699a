"""How transformers is imported: beside MLX when a tokenizer of mlx-lm's is asked for, with torch for the torch engine.

mlx-lm brings transformers for its tokenizers, and transformers brings torch where that is installed: a second, two with
torch, and 200 MB of each process. Our own tokenizer needs none of it: only mlx-lm's server and its converter do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from types import ModuleType
from typing import Any

TORCH, TRANSFORMERS = "torch", "transformers"
PUT_OFF = {  # what mlx-lm's modules import of transformers; tests/backends/test_mlx_lm_pin.py holds it
    TRANSFORMERS: ("AutoTokenizer", "PreTrainedTokenizer", "PreTrainedTokenizerFast"),
    f"{TRANSFORMERS}.tokenization_utils_base": ("PreTrainedTokenizerBase",),
}


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


class PutOff(type):
    """A class of transformers, which is imported when it is first asked for something."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):  # Python's own questions about a class
            raise AttributeError(name)
        with nullcontext() if TRANSFORMERS in sys.modules else without_torch():  # one that has torch needs it
            return getattr(getattr(import_module(TRANSFORMERS), cls.__name__), name)

    def register(cls, *_: Any, **__: Any) -> None:
        """mlx-lm's tokenizer for a model that is no Gemma stays unknown."""


@contextmanager
def put_off() -> Iterator[None]:
    """mlx-lm, if it is imported meanwhile, takes transformers later, and without torch."""
    stand_ins = {} if TRANSFORMERS in sys.modules else {module: _stand_in(module) for module in PUT_OFF}
    sys.modules.update(stand_ins)
    try:
        with without_torch():
            yield
    finally:
        for module in stand_ins:
            del sys.modules[module]


def _stand_in(name: str) -> ModuleType:
    module = ModuleType(name)
    vars(module).update({kind: PutOff(kind, (), {}) for kind in PUT_OFF[name]})
    return module


def forget() -> None:
    """Let transformers be imported anew if it was imported without torch; who has its objects keeps them."""
    utilities = sys.modules.get(f"{TRANSFORMERS}.utils.import_utils")
    if utilities is not None and not utilities.is_torch_available():
        for name in [name for name in sys.modules if name.partition(".")[0] == TRANSFORMERS]:
            del sys.modules[name]
