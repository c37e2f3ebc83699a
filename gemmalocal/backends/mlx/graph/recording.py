"""Let a program build its graphs, and write down what it hands to the device, and when it waits; compute nothing.

What the program reads of a graph that was not computed is zeros, and so is what it saves.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from gemmalocal.weights import tensors

READS = ("item", "tolist", "__float__", "__int__", "__bool__", "__index__", "__array__", "__dlpack__")
LOADING = "loading"
SMALL = 8  # operations that are computed while a model is loaded: it may ask for a number that depends on no weight


class Handover(NamedTuple):
    """Arrays that the program handed over, and whether it waited for them.

    `overdue` if it waited, and had handed over one of them before, when it did not wait.
    """

    phase: str
    waits: bool
    overdue: bool
    arrays: list[mx.array]


class Recording:
    """What was handed over so far, in order; `phase` is the name of what the program is at."""

    def __init__(self) -> None:
        self.phase = LOADING
        self.handovers: list[Handover] = []
        self._ahead: list[list[mx.array]] = []  # of handovers that nobody has waited for yet

    def hand_over(self, waits: bool, *trees: Any) -> None:
        """Note that the program handed over trees of arrays. They are copied: it may change its own in place."""
        leaves = cast("list[tuple[str, Any]]", tree_flatten(list(trees)))
        values = [value for _, value in leaves if isinstance(value, mx.array)]
        overdue = waits and self._catch_up(values)
        self.handovers.append(Handover(self.phase, waits, overdue, [copy.copy(value) for value in values]))
        if not waits:
            self._ahead.append(values)
        elif self.phase == LOADING:  # what is there before the first step is no part of a step: a number stands for it
            for value in values:
                value[...] = mx.array(0, value.dtype)
            _evaluate(values)  # which takes no memory: it is a view of the number

    def _catch_up(self, values: list[mx.array]) -> bool:
        """Whether one of them was handed over ahead; what was so before it is then there as well."""
        wanted = set(map(id, values))
        for number in reversed(range(len(self._ahead))):
            if wanted & set(map(id, self._ahead[number])):
                del self._ahead[: number + 1]
                return True
        return False

    def readable(self, array: mx.array) -> mx.array:
        """The array if it is there already, else zeros in its place, for which the program waited."""
        waiting = _operations(array)
        if not waiting or (self.phase == LOADING and waiting <= SMALL):
            return array
        self.hand_over(True, array)
        zeros = mx.zeros(array.shape, array.dtype)
        _evaluate(zeros)
        return zeros


_evaluate = mx.eval


def _operations(array: mx.array) -> int:
    """How many operations an array waits for."""
    dot = io.StringIO()
    mx.export_to_dot(dot, array)
    return dot.getvalue().count("[label =")


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute of a module or a class is another meanwhile."""
    plain = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, plain)


@contextmanager
def recording() -> Iterator[Recording]:
    """Record in this process; `mx.compile` is on, and is never asked to compile what it fused."""
    record = Recording()
    with ExitStack() as patches:
        for owner, name, replacement in _replacements(record):
            patches.enter_context(replaced(owner, name, replacement))
        mx.enable_compile()
        try:
            yield record
        finally:
            mx.disable_compile()


def _replacements(record: Recording) -> Iterator[tuple[Any, str, Any]]:
    yield mx, "eval", lambda *trees: record.hand_over(True, *trees)
    yield mx, "async_eval", lambda *trees: record.hand_over(False, *trees)
    yield mx, "synchronize", lambda stream=None: record.hand_over(True)
    yield mx, "save_safetensors", _save_hollow
    for name in READS:
        yield mx.array, name, _reading(record, getattr(mx.array, name))
    for name in ("array", "asarray"):
        yield np, name, _taking(record, getattr(np, name))


def _save_hollow(file: str, arrays: dict[str, mx.array], metadata: Any = None) -> None:
    tensors.write_hollow(Path(file), {name: array.shape for name, array in arrays.items()}, "F32")


def _reading(record: Recording, method: Callable[..., Any]) -> Callable[..., Any]:
    def read(self: mx.array, *arguments: Any, **named: Any) -> Any:
        return method(record.readable(self), *arguments, **named)

    return read


def _taking(record: Recording, function: Callable[..., Any]) -> Callable[..., Any]:
    def take(value: Any, *arguments: Any, **named: Any) -> Any:
        return function(record.readable(value) if isinstance(value, mx.array) else value, *arguments, **named)

    return take
