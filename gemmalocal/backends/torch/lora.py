"""LoRA on torch's linear layers (https://arxiv.org/abs/2106.09685), with dropout that can be computed twice."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gemmalocal.backends import lora_init
from gemmalocal.backends.torch.frozen_linear import FrozenLinear
from gemmalocal.recipe.schema import LoraSpec

Linear = nn.Linear | FrozenLinear


class LoraLinear(nn.Module):
    """A frozen linear layer plus `scale * B A x`; `lora_a` (rank, in) and `lora_b` (out, rank) are float32.

    The dropout seed is set from outside (`draw`): gradient checkpointing runs a layer twice and must meet the same
    mask, and a resumed run the mask that it would have met.
    """

    def __init__(self, linear: Linear, scale: float, dropout: float, lora_a: Tensor) -> None:
        super().__init__()
        self.linear = linear
        self.lora_a = nn.Parameter(lora_a)
        self.lora_b = nn.Parameter(lora_a.new_zeros(linear.out_features, len(lora_a)))
        self._scale, self._dropout = scale, dropout
        self._seed: int | None = None

    def draw(self, seed: int | None) -> None:
        """Use `seed` for dropout from now on; None switches dropout off."""
        self._seed = seed

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out), in the dtype of `x`."""
        inner = x
        if self._dropout and self._seed is not None:
            random = torch.Generator(x.device).manual_seed(self._seed)
            kept = torch.rand(x.shape, generator=random, device=x.device) >= self._dropout
            inner = torch.where(kept, x / (1 - self._dropout), 0)
        low = F.linear(inner, self.lora_a.to(x.dtype)).flatten(0, -2)
        found: Tensor = self.linear(x)
        rows = self.lora_b.to(x.dtype).T.contiguous()  # its gradient takes the layout: so it is a fast product
        found.flatten(0, -2).addmm_(low, rows, alpha=self._scale)
        return found


class DoraLinear(LoraLinear):
    """The direction of each row of `W + scale * B A` from LoRA, its length, `magnitude` (out,), trained by itself.

    DoRA, https://arxiv.org/abs/2402.09353; the norm is a constant to the gradient, as in its section 4.3.
    """

    _square: Tensor

    def __init__(self, linear: Linear, scale: float, dropout: float, lora_a: Tensor) -> None:
        super().__init__(linear, scale, dropout, lora_a)
        square = self._matrix().float().square().sum(1)
        self.register_buffer("_square", square, persistent=False)
        self.magnitude = nn.Parameter(square.sqrt())

    def _matrix(self) -> Tensor:
        return self.linear.matrix() if isinstance(self.linear, FrozenLinear) else self.linear.weight

    @torch.no_grad()
    def _norm(self) -> Tensor:
        """Lengths of the rows of `W + scale * B A` (out,), without making it: the product with A suffices."""
        matrix = self._matrix()
        mixed = ((matrix @ self.lora_a.T.to(matrix.dtype)).float() * self.lora_b).sum(1)
        own = ((self.lora_b @ (self.lora_a @ self.lora_a.T)) * self.lora_b).sum(1)
        return (self._square + 2 * self._scale * mixed + self._scale**2 * own).sqrt()

    def stretch(self) -> Tensor:
        """What each output is multiplied by (out,)."""
        return self.magnitude / self._norm()

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out), in the dtype of `x`."""
        return super().forward(x) * self.stretch().to(x.dtype)


def attach(layers: dict[int, nn.Module], spec: LoraSpec, seed: int, dora: bool) -> list[LoraLinear]:
    """Replace the target projections of the numbered transformer layers by adapted ones and return these, in order."""
    made: list[LoraLinear] = []
    kind = DoraLinear if dora else LoraLinear
    for index, layer in layers.items():
        for part in ("self_attn", "mlp"):
            block = getattr(layer, part)
            for name in spec.target_modules:
                linear = getattr(block, name, None)
                if linear is None:  # Gemma 4 has layers that share keys and values
                    continue
                path = f"model.layers.{index}.{part}.{name}"
                lora_a = torch.from_numpy(lora_init.lora_a(path, spec.rank, linear.in_features, seed))
                device = next(linear.parameters(), None)
                device = next(linear.buffers()) if device is None else device
                made.append(kind(linear, spec.alpha / spec.rank, spec.dropout, lora_a.to(device.device)))
                setattr(block, name, made[-1])
    return made
