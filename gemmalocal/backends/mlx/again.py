"""Compute something again in the backward pass instead of keeping it (https://arxiv.org/abs/1604.06174)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten


def again(call: Callable[..., mx.array], module: Any, *given: mx.array) -> mx.array:
    """`call(module, *given)`, of which the backward pass keeps `given` and the module's trainable weights only.

    MLX goes through a graph breadth first from its outputs (see lanes.py). What is computed again must wait for the
    slope that asks for it, and the slopes of `given` for those of the weights, which are outputs: left alone, they come
    last, and keep what every layer computed again in memory until then.
    """
    named = cast("list[tuple[str, mx.array]]", tree_flatten(module.trainable_parameters()))
    names, values = [name for name, _ in named], [value for _, value in named]

    def plain(*arguments: mx.array) -> mx.array:
        module.update(tree_unflatten(list(zip(names, arguments[: len(names)], strict=True))))
        return call(module, *arguments[len(names) :])

    @mx.custom_function
    def kept(*arguments: mx.array) -> mx.array:
        return plain(*arguments)

    @kept.vjp
    def slopes(primals: Any, cotangent: mx.array, found: mx.array) -> list[mx.array]:
        arguments = cast("list[mx.array]", mx.depends(list(primals), [cotangent]))
        made = mx.vjp(plain, arguments, [cotangent])[1]
        ours, rest = made[: len(names)], made[len(names) :]
        return [*ours, *(cast("list[mx.array]", mx.depends(rest, ours)) if ours else rest)]

    result = cast(mx.array, kept(*values, *given))
    module.update(tree_unflatten(named))
    return result
