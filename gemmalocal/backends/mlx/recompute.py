"""Compute something again in the backward pass instead of keeping it (https://arxiv.org/abs/1604.06174)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten

BLOCK = 256  # positions


def again(call: Callable[..., mx.array], module: Any, *given: mx.array) -> mx.array:
    """`call(module, *given)` of (..., length, width) arrays, position by position, a block of positions at a time.

    The backward pass keeps `given` and the module's trainable weights only; what is needed on the way is in memory for
    one block. MLX goes through a graph breadth first from its outputs (see streams.py): a block must wait for the one
    before it, the first for the slope that asks for it, and the slopes of `given` for those of the weights, which are
    outputs: left alone, they come last, and keep what every layer computed again in memory until then.
    """
    named = cast("list[tuple[str, mx.array]]", tree_flatten(module.trainable_parameters()))
    names, values = [name for name, _ in named], [value for _, value in named]
    starts = range(0, given[0].shape[-2], BLOCK)

    def plain(*arguments: mx.array) -> mx.array:
        module.update(tree_unflatten(list(zip(names, arguments[: len(names)], strict=True))))
        return call(module, *arguments[len(names) :])

    @mx.custom_function
    def kept(*arguments: mx.array) -> mx.array:
        ours, rest = arguments[: len(names)], arguments[len(names) :]
        found: list[mx.array] = []
        for start in starts:
            found.append(plain(*ours, *after(found[-1:], _block(rest, start))))
        return mx.concatenate(found, axis=-2)

    @kept.vjp
    def slopes(primals: Any, cotangent: mx.array, found: mx.array) -> list[mx.array]:
        ours, rest = list(primals[: len(names)]), primals[len(names) :]
        total: list[mx.array] = []  # of the weights, over the blocks so far
        pieces: list[list[mx.array]] = []
        before = [cotangent]
        for start in starts:
            cut = after(before, [*_block(rest, start), *_block([cotangent], start)])
            made = mx.vjp(plain, [*ours, *cut[:-1]], cut[-1:])[1]
            here, piece = made[: len(names)], made[len(names) :]
            total = [one + other for one, other in zip(total, here, strict=True)] if total else list(here)
            pieces.append(after(total, list(piece)))
            before = pieces[-1]
        return [*total, *(mx.concatenate(list(parts), axis=-2) for parts in zip(*pieces, strict=True))]

    result = cast(mx.array, kept(*values, *given))
    module.update(tree_unflatten(named))
    return result


def _block(arrays: Sequence[mx.array], start: int) -> list[mx.array]:
    return [array[..., start : start + BLOCK, :] for array in arrays]


def after(before: list[mx.array], given: list[mx.array]) -> list[mx.array]:
    """`given`, but not before `before` is computed."""
    return cast("list[mx.array]", mx.depends(given, before)) if before else given
