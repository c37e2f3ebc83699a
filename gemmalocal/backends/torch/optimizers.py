"""The optimizers of a recipe, each over float32 weights that have names, and their state as named arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from transformers.optimization import Adafactor

from gemmalocal.errors import RecipeError
from gemmalocal.recipe.schema import TrainSpec


class Lion(Optimizer):
    """The sign of a blend of gradient and momentum (https://arxiv.org/abs/2302.06675), as MLX computes it."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "betas": (0.9, 0.99)})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        for group in self.param_groups:
            fast, slow = group["betas"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(momentum.lerp(weight.grad, 1 - fast).sign_(), alpha=group["lr"])
                momentum.lerp_(weight.grad, 1 - slow)


def optimizer(weights: list[nn.Parameter], train: TrainSpec, device: torch.device) -> Optimizer:
    """The optimizer of a recipe; raises `RecipeError` for one that the device does not have."""
    rate, decay = train.learning_rate, train.weight_decay
    if train.optimizer == "paged_adamw_8bit":
        if device.type != "cuda":
            raise RecipeError(
                "paged_adamw_8bit keeps its state in CUDA's paged memory.", "Set train.optimizer to adamw."
            )
        from bitsandbytes.optim import PagedAdamW8bit

        paged: Optimizer = PagedAdamW8bit(weights, lr=rate, weight_decay=decay)
        return paged
    if train.optimizer == "adamw":
        return AdamW(weights, lr=rate, weight_decay=decay)
    if train.optimizer == "lion":
        return Lion(weights, lr=rate, weight_decay=decay)
    adafactor: Optimizer = Adafactor(weights, lr=rate, weight_decay=decay, relative_step=False, scale_parameter=False)
    return adafactor


def state(
    optimizer: Optimizer, names: list[str], weights: list[nn.Parameter]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What an optimizer keeps for each weight: tensors, and plain numbers, by `weight's name/its own name`."""
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for name, weight in zip(names, weights, strict=True):
        for key, value in optimizer.state.get(weight, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{name}/{key}"] = value.contiguous()
            elif value is not None:
                numbers[f"{name}/{key}"] = value
    return tensors, numbers


def restore(
    optimizer: Optimizer,
    names: list[str],
    weights: list[nn.Parameter],
    tensors: dict[str, Tensor],
    numbers: dict[str, Any],
) -> None:
    """Take up what `state` gave."""
    by_name = dict(zip(names, weights, strict=True))
    optimizer.state.clear()
    for path, value in [*tensors.items(), *numbers.items()]:
        name, _, key = path.partition("/")
        optimizer.state[by_name[name]][key] = value
