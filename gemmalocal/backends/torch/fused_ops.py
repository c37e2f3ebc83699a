"""Gemma's norms and gated blocks with less memory and fewer passes than by autograd, one operation at a time.

Linear layers multiply few rows as `frozen_linear.product_of_few` does.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gemmalocal.backends.torch.frozen_linear import few, product_of_few


class _RmsNorm(torch.autograd.Function):
    """`x / rms(x) * gain` over the last axis, in float32 (https://arxiv.org/abs/1910.07467); keeps `x` alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor | None, eps: float) -> Tensor:
        wide = x.float()
        rate = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        rate = rate.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, rate, gain)
        found = wide * rate
        return (found if gain is None else found.mul_(gain)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor | None, None]:
        x, rate, gain = ctx.saved_tensors
        wide, slope = x.float(), slope.float()
        by_gain = (slope * wide * rate).flatten(0, -2).sum(0) if ctx.needs_input_grad[1] else None
        slope = slope if gain is None else slope * gain
        along = torch.linalg.vecdot(slope, wide).unsqueeze(-1)
        bend = along.mul_(rate**3).div_(-x.shape[-1])
        return (slope * rate).addcmul_(wide, bend).to(x.dtype), by_gain, None


class _Geglu(torch.autograd.Function):
    """`gelu(gate) * up` in the tanh approximation (https://arxiv.org/abs/1606.08415); keeps `gate` and `up` alone."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return F.gelu(gate, approximate="tanh").mul_(up)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        by_gate = torch.ops.aten.gelu_backward(slope * up, gate, approximate="tanh")
        return by_gate, F.gelu(gate, approximate="tanh").mul_(slope)


def rms_norm(x: Tensor, gain: Tensor | None, eps: float) -> Tensor:
    """(..., width) to the same shape and dtype; `gain` is (width,) float32."""
    found: Tensor = _RmsNorm.apply(x, gain, eps)
    return found


def geglu(gate: Tensor, up: Tensor) -> Tensor:
    """`gelu(gate) * up`, of one shape and dtype."""
    found: Tensor = _Geglu.apply(gate, up)
    return found


def quicken(text: nn.Module) -> None:
    """Let this one model compute its norms and gated blocks here; the classes of transformers stay as they are."""
    for module in text.modules():
        plain = type(module)
        if plain.__name__ in NORMS:
            module.__class__ = _subclass(plain, NORMS[plain.__name__])
        elif plain.__name__ in GATED:
            module.__class__ = _subclass(plain, _gated)
        elif plain is nn.Linear and module.bias is None:
            module.__class__ = QuickLinear


class QuickLinear(nn.Linear):
    """A linear layer without a bias."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """(..., in) to (..., out)."""
        return product_of_few(input, self.weight.T) if few(input) else F.linear(input, self.weight)


def _subclass(plain: type, forward: Any) -> type:
    return type(f"Quick{plain.__name__}", (plain,), {"forward": forward})


def _one_plus(self: Any, x: Tensor) -> Tensor:
    return rms_norm(x, 1 + self.weight.float(), self.eps)


def _as_is(self: Any, x: Tensor) -> Tensor:
    return rms_norm(x, self.weight.float() if self.with_scale else None, self.eps)


def _gated(self: Any, x: Tensor) -> Tensor:
    found: Tensor = self.down_proj(geglu(self.gate_proj(x), self.up_proj(x)))
    return found


NORMS = {"GemmaRMSNorm": _one_plus, "Gemma2RMSNorm": _one_plus, "Gemma3RMSNorm": _one_plus} | {
    "Gemma4RMSNorm": _as_is,
    "Gemma4UnifiedRMSNorm": _as_is,
}
GATED = {"GemmaMLP", "Gemma2MLP", "Gemma3MLP", "Gemma4TextMLP", "Gemma4UnifiedTextMLP"}
