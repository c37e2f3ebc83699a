"""LoRA on MLX's linear layers (https://arxiv.org/abs/2106.09685), with dropout that can be computed twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, cast

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends import lora_init
from gemmalocal.backends.mlx import compute_path, merged_linear
from gemmalocal.recipe.schema import LoraSpec

SAME_INPUT = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))  # of a Gemma's blocks
AND = "+"  # between the names of projections that are computed together


def linear_shape(linear: nn.Module) -> tuple[int, int]:
    """Outputs and inputs of a linear layer, quantized (then its weights are packed in 32-bit words) or not."""
    rows, columns = linear.weight.shape
    return rows, columns * 32 // linear.bits if isinstance(linear, nn.QuantizedLinear) else columns


class LoraLinear(nn.Module):
    """A frozen linear layer plus `scale * B A x`; `lora_a` (rank, in) and `lora_b` (out, rank) are float32.

    `outputs` are those of several projections with the same input, if they are computed together: `linear` has their
    rows one below the other, `lora_b` too, and `lora_a` is (projections * rank, in).

    The dropout key is set from outside: gradient checkpointing runs a layer twice and must meet the same mask, which a
    global random state would not give it.
    """

    def __init__(
        self, linear: nn.Module, scale: float, dropout: float, lora_a: mx.array, outputs: Sequence[int] = ()
    ) -> None:
        super().__init__()
        self.linear = linear
        self.lora_a = lora_a
        self.paths: tuple[str, ...] = ()  # of the projections, in the model
        self.outputs = tuple(outputs) or (linear.weight.shape[0],)
        self.lora_b = mx.zeros((sum(self.outputs), len(lora_a) // len(self.outputs)))
        self.scale, self._dropout = scale, dropout
        self._dropout_key: mx.array | None = None
        self._one_matrix = compute_path.current().compiled
        self._block_diagonal, self._adapted = _block_diagonal(self.outputs), _adapted(linear)
        self._input: mx.array | None = None  # of the projections under way
        self._pending: dict[int, mx.array] = {}  # their outputs that nobody has asked for yet

    def renew(self, spec: LoraSpec, seed: int) -> None:
        """Begin anew, of another rank and scale."""
        columns = self.lora_a.shape[1]
        self.lora_a = mx.array(_first_a(self.paths, [columns] * len(self.paths), spec.rank, seed))
        self.lora_b = mx.zeros((sum(self.outputs), spec.rank))
        self.scale, self._dropout = spec.alpha / spec.rank, spec.dropout

    def set_dropout_key(self, key: mx.array | None) -> None:
        """Draw the dropout mask by `key` from now on; None switches dropout off."""
        self._dropout_key = key

    def _columns(self, dtype: mx.Dtype) -> mx.array:
        """B as (out, projections * rank), 0 where a row meets another projection's ranks."""
        lora_b = self.lora_b.astype(dtype)
        return lora_b if len(self.outputs) == 1 else cast(mx.array, self._block_diagonal(lora_b))

    def __call__(self, x: mx.array) -> mx.array:
        """(..., in) to (..., out), in the dtype of `x`."""
        if not self._one_matrix:
            return self._op_by_op(x)
        rows = x.reshape(-1, x.shape[-1])  # as one matrix: so the weights' gradients are one product each
        lora_a, columns = self.lora_a.astype(x.dtype), self._columns(x.dtype)
        if self.scale != 1:
            lora_a = lora_a * self.scale
        dropped = self._dropped(x)
        if dropped is x:
            output = cast(Any, self._adapted)(rows, lora_a, columns)[0]
        else:
            output = mx.addmm(self.linear(rows), dropped.reshape(rows.shape) @ lora_a.T, columns.T)
        return output.reshape(*x.shape[:-1], -1)

    def _dropped(self, x: mx.array) -> mx.array:
        """`x` under the mask of the key; itself without one."""
        if not self._dropout or self._dropout_key is None:
            return x
        kept = mx.random.bernoulli(1 - self._dropout, x.shape, key=self._dropout_key)
        return mx.where(kept, x / (1 - self._dropout), 0)

    def _op_by_op(self, x: mx.array) -> mx.array:
        """The same by MLX's own gradients: on its CPU build a fifth faster, all in all."""
        low_rank = (self._dropped(x) @ self.lora_a.astype(x.dtype).T) * self.scale  # scaled where it is smallest
        output: mx.array = self.linear(x) + low_rank @ self._columns(x.dtype).T
        return output

    def projection(self, number: int, x: mx.array) -> mx.array:
        """What projection `number` of several gives for `x`; the first that is asked computes all."""
        if self._input is not x:
            borders = list(accumulate(self.outputs))[:-1]
            self._input, self._pending = x, dict(enumerate(mx.split(self(x), borders, axis=-1)))
        output = self._pending.pop(number)
        if not self._pending:
            self._input = None
        return output


class Projection(nn.Module):
    """Stands where one of several projections was that are computed together."""

    def __init__(self, together: LoraLinear, number: int) -> None:
        super().__init__()
        self._project = lambda x: together.projection(number, x)  # a closure, so that it is no child of this one

    def __call__(self, x: mx.array) -> mx.array:
        """(..., in) to (..., out)."""
        return self._project(x)


class DoraLinear(LoraLinear):
    """The direction of each row of `W + scale * B A` from LoRA, its length, `magnitude` (out,), trained by itself.

    DoRA, https://arxiv.org/abs/2402.09353; the norm is a constant to the gradient, as in its section 4.3.
    """

    def __init__(
        self, linear: nn.Module, scale: float, dropout: float, lora_a: mx.array, outputs: Sequence[int] = ()
    ) -> None:
        super().__init__(linear, scale, dropout, lora_a, outputs)
        weight = linear.weight
        if isinstance(linear, nn.QuantizedLinear):
            weight = mx.dequantize(weight, linear.scales, linear.biases, linear.group_size, linear.bits)
        self._squared_norm = mx.sum(mx.square(weight.astype(mx.float32)), axis=1)  # of the rows of W, (out,)
        self.magnitude = mx.sqrt(self._squared_norm)
        mx.eval(self.magnitude)

    def renew(self, spec: LoraSpec, seed: int) -> None:
        """Begin anew, of another rank and scale."""
        super().renew(spec, seed)
        self.magnitude = mx.sqrt(self._squared_norm)

    def _norm(self) -> mx.array:
        """Lengths of the rows of `W + scale * B A` (out,), without making it: the product with A suffices.

        |w + s b A|^2 = |w|^2 + 2 s (W A^T) . b + s^2 b (A A^T) b^T, for each row w of W and b of B.
        """
        lora_a, lora_b = self.lora_a.astype(mx.float32), self._columns(mx.float32)
        # A product with float32 would make a float32 copy of W.
        dtype = (self.linear.scales if "scales" in self.linear else self.linear.weight).dtype
        projected = self.linear(lora_a.astype(dtype))  # A W^T, (rank, out)
        mixed = mx.sum(lora_b * projected.T.astype(mx.float32), axis=1)
        adapter = mx.sum((lora_b @ (lora_a @ lora_a.T)) * lora_b, axis=1)
        return mx.stop_gradient(mx.sqrt(self._squared_norm + 2 * self.scale * mixed + self.scale**2 * adapter))

    def output_excess(self) -> mx.array:
        """What each output is multiplied by, less 1 (out,), float32: near 0, it keeps its digits in bfloat16."""
        return self.magnitude.astype(mx.float32) / self._norm() - 1

    def __call__(self, x: mx.array) -> mx.array:
        """(..., in) to (..., out), in the dtype of `x`."""
        output = super().__call__(x)
        return output + output * self.output_excess().astype(x.dtype)


def _adapted(linear: nn.Module) -> Any:
    """`linear(x) + x A^T B^T` of rows x (n, in), A (rank, in) and B (out, rank), and `x A^T` for the vjp.

    Autodiff would add the two gradients of x, one from each product; here the second product adds to the first.
    """

    @mx.custom_function
    def forward(rows: mx.array, lora_a: mx.array, lora_b: mx.array) -> tuple[mx.array, mx.array]:
        low_rank = rows @ lora_a.T
        return mx.addmm(linear(rows), low_rank, lora_b.T), low_rank

    @forward.vjp
    def backward(primals: Any, cotangents: Any, outputs: Any) -> tuple[mx.array, mx.array, mx.array]:
        (rows, lora_a, lora_b), (cotangent, _), (_, low_rank) = primals, cotangents, outputs
        _, (base_gradient,) = mx.vjp(linear, [rows], [cotangent])
        low_rank_gradient = cotangent @ lora_b
        return mx.addmm(base_gradient, low_rank_gradient, lora_a), low_rank_gradient.T @ rows, cotangent.T @ low_rank

    return forward


def _block_diagonal(outputs: Sequence[int]) -> Any:
    """B's rows (out, rank), of several projections, to (out, projections * rank) with each in its own columns."""
    count = len(outputs)
    projections = np.repeat(np.arange(count, dtype=np.int32), outputs)[:, None, None]  # of each row
    number = mx.array(projections)
    own = mx.array(projections == np.arange(count)[:, None])  # (out, projections, 1)

    @mx.custom_function
    def spread(lora_b: mx.array) -> mx.array:
        return mx.where(own, lora_b[:, None], mx.array(0, lora_b.dtype)).reshape(len(lora_b), -1)

    @spread.vjp
    def gather(primal: mx.array, cotangent: mx.array, output: mx.array) -> mx.array:
        blocks = cotangent.reshape(len(primal), count, -1)
        indices = mx.broadcast_to(number, (len(primal), 1, primal.shape[1]))
        return mx.take_along_axis(blocks, indices, axis=1)[:, 0]

    return spread


@contextmanager
def unit_scale(adapters: Sequence[LoraLinear]) -> Iterator[None]:
    """While a pass is built over matrices A that hold the scale already."""
    scales = [adapter.scale for adapter in adapters]
    for adapter in adapters:
        adapter.scale = 1.0
    try:
        yield
    finally:
        for adapter, scale in zip(adapters, scales, strict=True):
            adapter.scale = scale


def attach_lora(
    layers: dict[int, Any], spec: LoraSpec, seed: int, dora: bool, together: bool = False
) -> list[LoraLinear]:
    """Replace the target projections of the numbered transformer layers by adapted ones and return these, in order.

    If `together`, those with the same input become one; with dropout they do not, since each has a mask of its own.
    """
    adapters: list[LoraLinear] = []
    for index, layer in layers.items():
        for block_name in ("self_attn", "mlp"):
            block = layer[block_name]
            for names in _groups([name for name in spec.target_modules if name in block], together):
                path = f"model.layers.{index}.{block_name}"
                adapters.extend(_attach(block, names, path, spec, seed, dora))
    return adapters


def _groups(names: Sequence[str], together: bool) -> list[tuple[str, ...]]:
    """The projections of a block that are to be one, in the order of SAME_INPUT; else each alone."""
    if not together:
        return [(name,) for name in names]
    groups = [tuple(name for name in same if name in names) for same in SAME_INPUT]
    return [group for group in groups if group] + [(name,) for name in names if not any(name in g for g in groups)]


def _first_a(paths: Sequence[str], columns: Sequence[int], rank: int, seed: int) -> NDArray[np.float32]:
    """A of some projections, one below the other, (projections * rank, in)."""
    parts = [lora_init.lora_a(path, rank, width, seed) for path, width in zip(paths, columns, strict=True)]
    return np.concatenate(parts)


def _attach(block: Any, names: Sequence[str], path: str, spec: LoraSpec, seed: int, dora: bool) -> list[LoraLinear]:
    """Adapt some projections of a block: as one where their weights can be joined, else each alone."""
    linears = [block[name] for name in names]
    if len(names) > 1 and (spec.dropout or not merged_linear.can_merge(linears)):
        return [adapter for name in names for adapter in _attach(block, [name], path, spec, seed, dora)]
    paths = [f"{path}.{name}" for name in names]
    lora_a = _first_a(paths, [linear_shape(linear)[1] for linear in linears], spec.rank, seed)
    outputs = [linear_shape(linear)[0] for linear in linears]
    linear = merged_linear.merge(linears)
    adapter_class = DoraLinear if dora else LoraLinear
    adapter = adapter_class(linear, spec.alpha / spec.rank, spec.dropout, mx.array(lora_a), outputs)
    adapter.paths = tuple(paths)
    block[AND.join(names)] = adapter
    if len(names) > 1:
        for number, name in enumerate(names):
            block[name] = Projection(adapter, number)
    return [adapter]
