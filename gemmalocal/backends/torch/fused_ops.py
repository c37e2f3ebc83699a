"""Gemma's norms and gated blocks with less memory and fewer passes than by autograd, one operation at a time.

Linear layers multiply few rows as `frozen_linear.product_of_few` does.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gemmalocal.backends.torch.frozen_linear import has_few_rows, product_of_few


class _RmsNorm(torch.autograd.Function):
    """`x / rms(x) * gain` over the last axis, in float32 (https://arxiv.org/abs/1910.07467); keeps `x` alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor | None, eps: float) -> Tensor:
        x32 = x.float()
        inverse_rms = torch.linalg.vector_norm(x32, dim=-1, keepdim=True)
        inverse_rms = inverse_rms.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, inverse_rms, gain)
        normalized = x32 * inverse_rms
        return (normalized if gain is None else normalized.mul_(gain)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        x, inverse_rms, gain = ctx.saved_tensors
        x32, output_gradient = x.float(), output_gradient.float()
        gain_gradient = (output_gradient * x32 * inverse_rms).flatten(0, -2).sum(0) if ctx.needs_input_grad[1] else None
        output_gradient = output_gradient if gain is None else output_gradient * gain
        # With r = 1/rms: dx = r * dy - x * r^3 * (dy . x) / width, for each row by itself.
        dot = torch.linalg.vecdot(output_gradient, x32).unsqueeze(-1)
        coefficient = dot.mul_(inverse_rms**3).div_(-x.shape[-1])
        return (output_gradient * inverse_rms).addcmul_(x32, coefficient).to(x.dtype), gain_gradient, None


class _Geglu(torch.autograd.Function):
    """`gelu(gate) * up` in the tanh approximation (https://arxiv.org/abs/1606.08415); keeps `gate` and `up` alone."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return F.gelu(gate, approximate="tanh").mul_(up)

    @staticmethod
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors  # gelu(gate) is computed again: it is not kept
        gate_gradient = torch.ops.aten.gelu_backward(output_gradient * up, gate, approximate="tanh")
        return gate_gradient, F.gelu(gate, approximate="tanh").mul_(output_gradient)


def rms_norm(x: Tensor, gain: Tensor | None, eps: float) -> Tensor:
    """(..., width) to the same shape and dtype; `gain` is (width,) float32."""
    output: Tensor = _RmsNorm.apply(x, gain, eps)
    return output


def geglu(gate: Tensor, up: Tensor) -> Tensor:
    """`gelu(gate) * up`, of one shape and dtype."""
    output: Tensor = _Geglu.apply(gate, up)
    return output


def use_fused_ops(language_model: nn.Module) -> None:
    """Let this one model compute its norms and gated blocks here; the classes of transformers stay as they are."""
    for module in language_model.modules():
        plain = type(module)
        if plain.__name__ in NORMS:
            module.__class__ = _subclass(plain, NORMS[plain.__name__])
        elif plain.__name__ in GATED:
            module.__class__ = _subclass(plain, _gated_forward)
        elif plain is nn.Linear and module.bias is None:
            module.__class__ = FusedLinear


class FusedLinear(nn.Linear):
    """A linear layer without a bias, which multiplies few rows by `product_of_few`."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """(..., in) to (..., out), in the dtype of `input`."""
        return product_of_few(input, self.weight.T) if has_few_rows(input) else F.linear(input, self.weight)


def _subclass(plain: type, forward: Any) -> type:
    return type(f"Fused{plain.__name__}", (plain,), {"forward": forward})


def _norm_by_one_plus_weight(self: Any, x: Tensor) -> Tensor:
    return rms_norm(x, 1 + self.weight.float(), self.eps)


def _norm_by_weight(self: Any, x: Tensor) -> Tensor:
    return rms_norm(x, self.weight.float() if self.with_scale else None, self.eps)


def _gated_forward(self: Any, x: Tensor) -> Tensor:
    output: Tensor = self.down_proj(geglu(self.gate_proj(x), self.up_proj(x)))
    return output


# By the names of transformers' classes: up to Gemma 3 a norm multiplies by 1 + weight, Gemma 4 by the weight itself.
NORMS = {
    "GemmaRMSNorm": _norm_by_one_plus_weight,
    "Gemma2RMSNorm": _norm_by_one_plus_weight,
    "Gemma3RMSNorm": _norm_by_one_plus_weight,
    "Gemma4RMSNorm": _norm_by_weight,
    "Gemma4UnifiedRMSNorm": _norm_by_weight,
}
GATED = {"GemmaMLP", "Gemma2MLP", "Gemma3MLP", "Gemma4TextMLP", "Gemma4UnifiedTextMLP"}
