"""Gemma's gated GELU with a backward pass of its own, which keeps two arrays where autodiff keeps about nine."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, cast

import mlx.core as mx
from mlx_lm.models import gemma2, gemma3_text, gemma4_text

from gemmalocal.backends.mlx import cpu
from gemmalocal.backends.mlx.mlx_lm_fixes import TanhMLP
from gemmalocal.backends.mlx.recompute import recompute_in_blocks
from gemmalocal.planning.memory import LONG

# gelu(x) = x / 2 * (1 + tanh(LINEAR * x + CUBIC * x^3))
LINEAR = math.sqrt(2 / math.pi)
CUBIC = 0.044715 * LINEAR


@mx.custom_function
def geglu_keeping_tanh(gate: mx.array, up: mx.array) -> Any:
    """`gelu(gate) * up` in the tanh approximation (https://arxiv.org/abs/1606.08415), and the tanh for the vjp.

    For MLX's CPU build, where a tanh costs more than the memory that keeps it.
    """
    curve = cpu.tanh(gate * (LINEAR + CUBIC * (gate * gate)))
    return (0.5 * gate) * (1 + curve) * up, curve


@geglu_keeping_tanh.vjp  # type: ignore[untyped-decorator]
def _geglu_keeping_tanh_vjp(primals: Any, cotangents: Any, outputs: Any) -> tuple[mx.array, mx.array]:
    (gate, up), (cotangent, _), (_, curve) = primals, cotangents, outputs
    return _gradients(gate, up, curve, cotangent)


def _gradients(gate: mx.array, up: mx.array, curve: mx.array, cotangent: mx.array) -> tuple[mx.array, mx.array]:
    half = 0.5 * (1 + curve)  # gelu(gate) is gate * half
    derivative = half + (0.5 * gate) * (1 - curve * curve) * (LINEAR + 3 * CUBIC * (gate * gate))
    return cotangent * up * derivative, cotangent * (gate * half)


@mx.custom_function
def geglu_fused(gate: mx.array, up: mx.array) -> mx.array:
    """The same for a GPU: one kernel each way, which computes in float32 what it reads and writes in `gate`'s dtype."""
    return cast(mx.array, _fused_forward()(gate, up))


@geglu_fused.vjp  # type: ignore[untyped-decorator]
def _geglu_fused_vjp(primals: Any, cotangent: mx.array, output: mx.array) -> tuple[mx.array, mx.array]:
    return cast("tuple[mx.array, mx.array]", _fused_backward()(*primals, cotangent))


@cache  # compiled functions keep what they were compiled to
def _fused_forward() -> Any:
    def forward(gate: mx.array, up: mx.array) -> mx.array:
        x = gate.astype(mx.float32)
        return ((0.5 * x) * (1 + mx.tanh(x * (LINEAR + CUBIC * (x * x)))) * up).astype(gate.dtype)

    return mx.compile(forward, shapeless=True)


@cache
def _fused_backward() -> Any:
    """Two kernels, each of which reads what it needs and writes its gradient alone.

    MLX fuses what one operation leads to, at most eleven in a row. What two gradients share it would write to memory,
    in float32: so each computes all from a view of its own. sigmoid(2 x) is (1 + tanh(x)) / 2, and is one operation.
    """

    def gate_gradient(gate: mx.array, up: mx.array, cotangent: mx.array) -> mx.array:
        x = gate.astype(mx.float32)
        square = x * x
        half = mx.sigmoid(x * (2 * LINEAR + 2 * CUBIC * square))  # gelu(x) is x * half
        slope = 1 + (1 - half) * (x * (2 * LINEAR + 6 * CUBIC * square))
        return (half * cotangent * up * slope).astype(gate.dtype)

    def up_gradient(gate: mx.array, cotangent: mx.array) -> mx.array:
        x = gate.astype(mx.float32)
        return (x * mx.sigmoid(x * (2 * LINEAR + 2 * CUBIC * (x * x))) * cotangent).astype(gate.dtype)

    def backward(gate: mx.array, up: mx.array, cotangent: mx.array) -> tuple[mx.array, mx.array]:
        first = gate_gradient(*(mx.expand_dims(array, 0) for array in (gate, up, cotangent)))
        second = up_gradient(*(mx.expand_dims(array, (0, 1)) for array in (gate, cotangent)))
        return mx.squeeze(first, 0), mx.squeeze(second, (0, 1))

    return mx.compile(backward, shapeless=True)


def _down_keeping_tanh(down_proj: Any, gate: mx.array, up: mx.array) -> mx.array:
    return cast(mx.array, down_proj(cast(Any, geglu_keeping_tanh)(gate, up)[0]))


def _down_fused(down_proj: Any, gate: mx.array, up: mx.array) -> mx.array:
    return cast(mx.array, down_proj(cast(Any, geglu_fused)(gate, up)))


def use_geglu(layers: list[Any], keep_tanh: bool) -> None:
    """Give the feed-forward blocks of this one model our GELU; the classes of mlx-lm stay as they are."""
    for layer in layers:
        if type(layer.mlp) in PLAIN:
            layer.mlp.__class__ = _block_class(cast(Any, type(layer.mlp)), keep_tanh)


PLAIN = (TanhMLP, gemma2.MLP, gemma3_text.MLP, gemma4_text.MLP)


@cache
def _block_class(plain: Any, keep_tanh: bool) -> type[Any]:
    """A feed-forward block of Gemma's with our GELU: (..., width) to (..., width)."""
    down = _down_keeping_tanh if keep_tanh else _down_fused

    def forward(self: Any, x: mx.array) -> mx.array:
        gate, up = self.gate_proj(x), self.up_proj(x)
        if x.shape[-2] > LONG:
            return recompute_in_blocks(down, self.down_proj, gate, up)
        return down(self.down_proj, gate, up)

    return type(f"Fast{plain.__name__}", (plain,), {"__call__": forward})
