"""Compute activations again in the backward pass instead of keeping them (https://arxiv.org/abs/1604.06174)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten

BLOCK = 256  # positions


def recompute_in_blocks(call: Callable[..., mx.array], module: Any, *inputs: mx.array) -> mx.array:
    """`call(module, *inputs)` of (..., length, width) arrays, position by position, a block of positions at a time.

    The backward pass keeps `inputs` and the module's trainable weights only; what is needed on the way is in memory for
    one block. MLX goes through a graph breadth first from its outputs (see streams.py): a block must wait for the one
    before it, the first for the cotangent that asks for it, and the gradients of `inputs` for those of the weights,
    which are outputs: left alone, they come last, and keep what every layer computed again in memory until then.
    """
    named = cast("list[tuple[str, mx.array]]", tree_flatten(module.trainable_parameters()))
    names, weights = [name for name, _ in named], [value for _, value in named]
    starts = range(0, inputs[0].shape[-2], BLOCK)

    def call_with(*primals: mx.array) -> mx.array:
        module.update(tree_unflatten(list(zip(names, primals[: len(names)], strict=True))))
        return call(module, *primals[len(names) :])

    # MLX differentiates with respect to arguments alone: so the weights are arguments, in front of the inputs.
    @mx.custom_function
    def forward(*primals: mx.array) -> mx.array:
        weights, inputs = primals[: len(names)], primals[len(names) :]
        outputs: list[mx.array] = []
        for start in starts:
            outputs.append(call_with(*weights, *order_after(_block(inputs, start), outputs[-1:])))
        return mx.concatenate(outputs, axis=-2)

    @forward.vjp
    def backward(primals: Any, cotangent: mx.array, output: mx.array) -> list[mx.array]:
        weights, inputs = list(primals[: len(names)]), primals[len(names) :]
        weight_gradients: list[mx.array] = []  # summed over the blocks so far
        input_gradients: list[list[mx.array]] = []  # of each block
        previous = [cotangent]
        for start in starts:
            *block, block_cotangent = order_after([*_block(inputs, start), *_block([cotangent], start)], previous)
            gradients = mx.vjp(call_with, [*weights, *block], [block_cotangent])[1]
            weight_gradients = _added(weight_gradients, gradients[: len(names)])
            previous = order_after(list(gradients[len(names) :]), weight_gradients)
            input_gradients.append(previous)
        joined = (mx.concatenate(list(blocks), axis=-2) for blocks in zip(*input_gradients, strict=True))
        return [*weight_gradients, *joined]

    output = cast(mx.array, forward(*weights, *inputs))
    module.update(tree_unflatten(named))  # the weights themselves again, not the tracers of `forward`
    return output


def _block(arrays: Sequence[mx.array], start: int) -> list[mx.array]:
    """Positions `start` to `start + BLOCK` of (..., length, width) arrays."""
    return [array[..., start : start + BLOCK, :] for array in arrays]


def _added(sums: list[mx.array], gradients: Sequence[mx.array]) -> list[mx.array]:
    return [total + gradient for total, gradient in zip(sums, gradients, strict=True)] if sums else list(gradients)


def order_after(arrays: list[mx.array], dependencies: list[mx.array]) -> list[mx.array]:
    """`arrays`, but not computed before `dependencies` are."""
    return cast("list[mx.array]", mx.depends(arrays, dependencies)) if dependencies else arrays
