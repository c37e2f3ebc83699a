"""The optimizers of a recipe, each over float32 weights that have names, and their state as named arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from gemmalocal.backends.torch import device
from gemmalocal.errors import BackendUnavailable, RecipeError
from gemmalocal.recipe.schema import TrainSpec

RATE = 1e-4  # until a step brings its own
SHARED = {"qmap1", "qmap2"}  # the code books of bitsandbytes' 8-bit numbers


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


def optimizer(weights: list[nn.Parameter], train: TrainSpec) -> Optimizer:
    """The optimizer of a recipe; raises `RecipeError` for one that the device does not have."""
    rate, decay = RATE, train.weight_decay
    if train.optimizer == "paged_adamw_8bit":
        return _eight_bit(weights, rate, decay)
    if train.optimizer == "adamw":
        return AdamW(weights, lr=rate, weight_decay=decay)
    if train.optimizer == "lion":
        return Lion(weights, lr=rate, weight_decay=decay)
    from transformers.optimization import Adafactor  # brings PEFT and bitsandbytes where they are: 1.5 s

    adafactor: Optimizer = Adafactor(weights, lr=rate, weight_decay=decay, relative_step=False, scale_parameter=False)
    return adafactor


def _eight_bit(weights: list[nn.Parameter], rate: float, decay: float) -> Optimizer:
    """bitsandbytes' AdamW with an 8-bit state (https://arxiv.org/abs/2110.02861), paged where the device can."""
    traits = device.traits()
    if not traits.eight_bit_optimizer:
        raise RecipeError("bitsandbytes has no 8-bit AdamW for Apple's GPU.", "Set train.optimizer to adamw.")
    try:
        from bitsandbytes.optim import AdamW8bit, PagedAdamW8bit  # slow to import
    except ImportError as error:
        raise BackendUnavailable(
            "train.optimizer: paged_adamw_8bit needs bitsandbytes.", "pip install 'gemmalocal[cuda]'"
        ) from error
    kind = PagedAdamW8bit if traits.paged and weights[0].is_cuda else AdamW8bit
    eight_bit: Optimizer = kind(weights, lr=rate, weight_decay=decay)
    return eight_bit


def state(
    optimizer: Optimizer, names: list[str], weights: list[nn.Parameter]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What an optimizer keeps for each weight: tensors, and plain numbers, by `weight's name/its own name`.

    Constants that all weights share are left out.
    """
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for name, weight in zip(names, weights, strict=True):
        for key, value in optimizer.state.get(weight, {}).items():
            if isinstance(value, Tensor):
                if key not in SHARED:
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
    """Take up what `state` gave; `tensors` lie on the CPU."""
    saved: dict[str, dict[str, Any]] = {}
    for path, value in [*tensors.items(), *numbers.items()]:
        name, _, key = path.partition("/")
        saved.setdefault(name, {})[key] = value
    for place, (name, weight) in enumerate(zip(names, weights, strict=True)):
        if name not in saved:
            optimizer.state.pop(weight, None)
        elif hasattr(optimizer, "init_state"):  # bitsandbytes'
            _fill(optimizer, weight, place, saved[name])
        else:
            # The count of steps stays where it can be read without waiting for the device.
            optimizer.state[weight] = {
                key: value.to(weight.device) if isinstance(value, Tensor) and key != "step" else value
                for key, value in saved[name].items()
            }


@torch.no_grad()
def _fill(optimizer: Any, weight: nn.Parameter, place: int, saved: dict[str, Any]) -> None:
    """Copy a weight's state into memory that bitsandbytes itself got for it: so what is paged stays paged."""
    state = optimizer.state[weight]
    if not state:
        optimizer.init_state(optimizer.param_groups[0], weight, 0, place)
    for key, value in saved.items():
        if isinstance(value, Tensor):
            state[key].copy_(value)
        else:
            state[key] = value
