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

    The dropout seed is set from outside: gradient checkpointing runs a layer twice and must meet the same mask, and a
    resumed run the mask that it would have met.
    """

    def __init__(self, linear: Linear, scale: float, dropout: float, lora_a: Tensor) -> None:
        super().__init__()
        self.linear = linear
        self.path = ""  # of the projection, in the model
        self.lora_a = nn.Parameter(lora_a)
        self.lora_b = nn.Parameter(lora_a.new_zeros(linear.out_features, len(lora_a)))
        self.scale, self._dropout = scale, dropout
        self._dropout_seed: int | None = None

    def renew(self, spec: LoraSpec, seed: int) -> None:
        """Begin anew, of another rank and scale."""
        first = torch.from_numpy(lora_init.lora_a(self.path, spec.rank, self.linear.in_features, seed))
        self.lora_a = nn.Parameter(first.to(self.lora_a.device))
        self.lora_b = nn.Parameter(self.lora_a.new_zeros(self.linear.out_features, spec.rank))
        self.scale, self._dropout = spec.alpha / spec.rank, spec.dropout

    def set_dropout_seed(self, seed: int | None) -> None:
        """Draw the dropout mask by `seed` from now on; None switches dropout off."""
        self._dropout_seed = seed

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out), in the dtype of `x`."""
        lora_input = x
        if self._dropout and self._dropout_seed is not None:
            random = torch.Generator(x.device).manual_seed(self._dropout_seed)
            kept = torch.rand(x.shape, generator=random, device=x.device) >= self._dropout
            lora_input = torch.where(kept, x / (1 - self._dropout), 0)
        # The product with A (tokens, rank) is added to the frozen layer's output in place: no second (tokens, out).
        low_rank = F.linear(lora_input, self.lora_a.to(x.dtype)).flatten(0, -2)
        output: Tensor = self.linear(x)
        lora_b = self.lora_b.to(x.dtype).T.contiguous()  # its gradient takes the layout: so it is a fast product
        output.flatten(0, -2).addmm_(low_rank, lora_b, alpha=self.scale)
        return output


class DoraLinear(LoraLinear):
    """The direction of each row of `W + scale * B A` from LoRA, its length, `magnitude` (out,), trained by itself.

    DoRA, https://arxiv.org/abs/2402.09353; the norm is a constant to the gradient, as in its section 4.3.
    """

    _squared_norm: Tensor

    def __init__(self, linear: Linear, scale: float, dropout: float, lora_a: Tensor) -> None:
        super().__init__(linear, scale, dropout, lora_a)
        squared_norm = self._weight().float().square().sum(1)
        self.register_buffer("_squared_norm", squared_norm, persistent=False)
        self.magnitude = nn.Parameter(squared_norm.sqrt())

    def renew(self, spec: LoraSpec, seed: int) -> None:
        """Begin anew, of another rank and scale."""
        super().renew(spec, seed)
        self.magnitude = nn.Parameter(self._squared_norm.sqrt())

    def _weight(self) -> Tensor:
        """The frozen weights W, (out, in)."""
        return self.linear.matrix() if isinstance(self.linear, FrozenLinear) else self.linear.weight

    @torch.no_grad()
    def _norm(self) -> Tensor:
        """Lengths of the rows of `W + scale * B A` (out,), without making it: the product with A suffices.

        |w + s b A|^2 = |w|^2 + 2 s (W A^T) . b + s^2 b (A A^T) b^T, for each row w of W and b of B.
        """
        weight = self._weight()
        mixed = ((weight @ self.lora_a.T.to(weight.dtype)).float() * self.lora_b).sum(1)
        adapter = ((self.lora_b @ (self.lora_a @ self.lora_a.T)) * self.lora_b).sum(1)
        return (self._squared_norm + 2 * self.scale * mixed + self.scale**2 * adapter).sqrt()

    def output_scale(self) -> Tensor:
        """What each output is multiplied by (out,)."""
        return self.magnitude / self._norm()

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out), in the dtype of `x`."""
        return stretched(super().forward(x), self.output_scale())


def stretched(y: Tensor, scale: Tensor) -> Tensor:
    """`y * scale`, in the dtype of `y`; `scale` is float32 and about 1.

    Rounded to bfloat16, it would be one of few: its steps there are 0.4 to 0.8 %, as large as what is learned.
    """
    return y * scale if y.dtype == scale.dtype else torch.addcmul(y, y, (scale - 1).to(y.dtype))


def attach_lora(layers: dict[int, nn.Module], spec: LoraSpec, seed: int, dora: bool) -> list[LoraLinear]:
    """Replace the target projections of the numbered transformer layers by adapted ones and return these, in order."""
    adapters: list[LoraLinear] = []
    adapter_class = DoraLinear if dora else LoraLinear
    for index, layer in layers.items():
        for block_name in ("self_attn", "mlp"):
            block = getattr(layer, block_name)
            for name in spec.target_modules:
                linear = getattr(block, name, None)
                if linear is None:  # Gemma 4 has layers that share keys and values
                    continue
                path = f"model.layers.{index}.{block_name}.{name}"
                lora_a = torch.from_numpy(lora_init.lora_a(path, spec.rank, linear.in_features, seed))
                weight = next(linear.parameters(), None)
                weight = next(linear.buffers()) if weight is None else weight
                adapters.append(adapter_class(linear, spec.alpha / spec.rank, spec.dropout, lora_a.to(weight.device)))
                adapters[-1].path = path
                setattr(block, name, adapters[-1])
    return adapters
