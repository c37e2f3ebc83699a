"""Products with frozen weights: as they are, in float16 or bfloat16 under a float32 stream, or quantized.

None of them keeps its input for the backward pass; only the weights are needed there.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gemmalocal.errors import BackendUnavailable

TINIEST = 1e-30  # in place of 0 where a row is divided by its largest value
FEW_ROWS = 4  # for so many or fewer, `product_of_few` is faster


def product(x: Tensor, matrix: Tensor) -> Tensor:
    """(..., n) by (n, m) to (..., m), in the dtype of `x`.

    Where the matrix is float16 and `x` is not, each row of `x` is divided by its largest value before it is rounded to
    float16, and multiplied again afterwards: neither Gemma 3's large activations (transformers#36822) nor small
    gradients leave float16's range, so that no loss scaling is needed.
    """
    if x.dtype == matrix.dtype:
        return product_of_few(x, matrix) if has_few_rows(x) else x @ matrix
    if matrix.dtype == torch.bfloat16:  # of float32's range
        return (x.to(matrix.dtype) @ matrix).to(x.dtype)
    scale = x.abs().amax(-1, keepdim=True).clamp_min(TINIEST)
    return ((x / scale).to(matrix.dtype) @ matrix).to(x.dtype).mul_(scale)


def has_few_rows(x: Tensor) -> bool:
    """Whether `product_of_few` is the faster product."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and x.numel() <= FEW_ROWS * x.shape[-1]


def product_of_few(x: Tensor, matrix: Tensor) -> Tensor:
    """At most `FEW_ROWS` rows (..., n) by a transposed matrix (n, m), in float32 on a CPU.

    As the other way round, and for `FEW_ROWS` rows also where there are less, MKL reads the matrix once and at the
    memory's full rate: `x @ matrix` takes up to twice as long for one row and ten times as long for two. So a row's
    result is also bit for bit the same whichever rows are beside it.
    """
    # (m, n) by (n, FEW_ROWS), the missing rows being zeros.
    rows = x.reshape(-1, x.shape[-1])
    padded = F.pad(rows, (0, 0, 0, FEW_ROWS - len(rows)))
    return (matrix.T @ padded.T).T[: len(rows)].contiguous().view(*x.shape[:-1], -1)


class _Product(torch.autograd.Function):
    """`x @ layer.matrix().T`; the matrix is made again for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: FrozenLinear) -> Tensor:
        ctx.layer = layer
        return product(x, layer.matrix().T)

    @staticmethod
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor, None]:
        return product(output_gradient, ctx.layer.matrix()), None


class FrozenLinear(nn.Module):
    """A linear layer without a bias whose weights, (out, in), are float16 while what goes in and out is not."""

    weight: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.register_buffer("weight", weight)

    def matrix(self) -> Tensor:
        """(out, in), in the dtype of the products."""
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out), in the dtype of `x`."""
        output: Tensor = _Product.apply(x, self)
        return output


class Int8Linear(FrozenLinear):
    """Weights in 8 bits, a scale for each row (the weights' half of LLM.int8, https://arxiv.org/abs/2208.07339)."""

    scale: Tensor

    def __init__(self, weight: Tensor) -> None:
        scale = weight.abs().amax(1, keepdim=True).float().clamp_min(TINIEST) / 127
        super().__init__((weight.float() / scale).round().to(torch.int8))
        self.register_buffer("scale", scale)
        self._dtype = weight.dtype

    def matrix(self) -> Tensor:
        """(out, in), in the dtype of the products."""
        return (self.weight * self.scale).to(self._dtype)


class Nf4Linear(FrozenLinear):
    """Weights in bitsandbytes' NF4 with doubly quantized scales (QLoRA, https://arxiv.org/abs/2305.14314)."""

    def __init__(self, weight: Tensor) -> None:
        from bitsandbytes import functional

        packed, self._state = functional.quantize_4bit(weight.contiguous(), quant_type="nf4", compress_statistics=True)
        super().__init__(packed)
        self.out_features, self.in_features = weight.shape

    def matrix(self) -> Tensor:
        """(out, in), in the dtype of the products."""
        from bitsandbytes import functional

        weight: Tensor = functional.dequantize_4bit(self.weight, self._state)
        return weight


def require_quantizer(bits: int | None) -> None:
    """Raise `BackendUnavailable` if what quantizes to so many bits is not installed."""
    if bits == 4:
        try:
            import bitsandbytes  # noqa: F401  (here, since importing it takes memory that is none of the model's)
        except ImportError as error:
            raise BackendUnavailable("quantize: 4bit needs bitsandbytes.", "pip install 'gemmalocal[cuda]'") from error


QUANTIZED = {4: Nf4Linear, 8: Int8Linear}
