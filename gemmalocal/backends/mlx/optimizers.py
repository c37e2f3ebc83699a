"""The optimizer of a recipe, MLX's own, over one vector where its arithmetic goes number by number."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, cast

import mlx.core as mx
import mlx.optimizers as optim
from mlx.utils import tree_flatten, tree_map

from gemmalocal.backends.mlx.flat import FlatLayout, squared_norm
from gemmalocal.errors import RecipeError
from gemmalocal.recipe.schema import TrainSpec

ELEMENTWISE = ("adamw", "lion")  # adafactor needs rows and columns
RATE = 1e-4  # until a step brings its own
VECTOR = "vector"  # the one parameter that an elementwise optimizer sees


def optimizer(train: TrainSpec) -> Any:
    """The optimizer of a recipe. MLX's AdamW corrects its bias only when asked (unlike torch's)."""
    if train.optimizer == "adamw":
        return optim.AdamW(RATE, weight_decay=train.weight_decay, bias_correction=True)
    if train.optimizer == "paged_adamw_8bit":
        raise RecipeError(
            "MLX has no paged_adamw_8bit.", "Set train.optimizer to adamw, or to adafactor for less memory."
        )
    if train.optimizer == "lion":
        return optim.Lion(RATE, weight_decay=train.weight_decay)
    return optim.Adafactor(RATE, weight_decay=train.weight_decay, relative_step=False, scale_parameter=False)


class Updater:
    """Steps what is trained by a gradient that is summed over tokens, and keeps the optimizer's state.

    `flat`: all arrays are one vector, and parameters and gradients are lists of that one. Else they are lists of the
    arrays. `compiled`: a step is one compiled graph, which leaves all as it was if norm or loss are not finite; else
    whoever calls looks at the norm first.
    """

    def __init__(
        self, train: TrainSpec, names: Sequence[str], arrays: Sequence[mx.array], flat: bool, compiled: bool
    ) -> None:
        self._names, self._clip, self.compiled = list(names), train.gradient_clip, compiled
        self.layout = FlatLayout([array.shape for array in arrays]) if flat else None
        self._separated: list[mx.array] = []  # the views that `separate` gave last, and of which vector
        self._vector: list[mx.array] = []
        self._optimizer = optimizer(train)
        self._optimizer.init(self._named(self.joined(arrays)))
        self._step = mx.compile(self._stepped) if compiled else self._stepped

    def joined(self, arrays: Sequence[mx.array]) -> list[mx.array]:
        """What the optimizer sees of arrays in the trainer's order."""
        if not self.layout:
            return list(arrays)
        if len(self._separated) != len(arrays) or not all(map(operator.is_, arrays, self._separated)):
            return [self.layout.join(arrays)]
        return self._vector

    def separate(self, parameters: list[mx.array]) -> list[mx.array]:
        """The inverse of `joined`."""
        if not self.layout:
            return parameters
        self._vector, self._separated = parameters, self.layout.split(*parameters)
        return self._separated

    def _named(self, parameters: Sequence[mx.array]) -> dict[str, mx.array]:
        return dict(zip([VECTOR] if self.layout else self._names, parameters, strict=True))

    def norm(self, gradient: Sequence[mx.array], count: float) -> mx.array:
        """The length of the mean gradient over all that is trained."""
        if self.layout:
            return mx.sqrt(squared_norm(gradient[0])) / count
        return mx.sqrt(sum((mx.sum(mx.square(part)) for part in gradient[1:]), mx.sum(mx.square(gradient[0])))) / count

    def step(
        self,
        parameters: list[mx.array],
        gradient: list[mx.array],
        norm: mx.array,
        loss: mx.array,
        count: float,
        learning_rate: float,
    ) -> list[mx.array]:
        """The parameters after a step; nothing is computed yet.

        `norm` is that of `norm`, `loss` the mean; `count` is what gradient and loss are divided by.
        """
        numbers = [mx.array(number, mx.float32) for number in (count, learning_rate)]
        stepped, self._optimizer.state = self._step(parameters, gradient, self._optimizer.state, norm, loss, *numbers)
        return stepped

    def _stepped(
        self,
        parameters: list[mx.array],
        gradient: list[mx.array],
        state: dict[str, Any],
        norm: mx.array,
        loss: mx.array,
        count: mx.array,
        learning_rate: mx.array,
    ) -> tuple[list[mx.array], dict[str, Any]]:
        """Divide by the count, clip (https://arxiv.org/abs/1211.5063) and step, as a function of all it depends on."""
        # The gradient is a sum: the mean, and the clipping, are one multiplication.
        factor = (mx.minimum(1.0, self._clip / (norm + 1e-6)) if self._clip else 1.0) / count
        self._optimizer.state = tree_map(lambda array: array, state)  # a copy, since the step writes into it
        self._optimizer.state["learning_rate"] = learning_rate
        named = {name: part * factor for name, part in self._named(gradient).items()}
        stepped = list(self._optimizer.apply_gradients(named, self._named(parameters)).values())
        stepped_state = self._optimizer.state
        if self.compiled:
            finite = mx.isfinite(norm) & mx.isfinite(loss)
            stepped, stepped_state = tree_map(
                lambda new, old: mx.where(finite, new, old), (stepped, stepped_state), (parameters, state)
            )
        return stepped, stepped_state

    @property
    def arrays(self) -> list[mx.array]:
        """What the optimizer keeps."""
        return [value for _, value in cast("list[tuple[str, mx.array]]", tree_flatten(self._optimizer.state))]

    def state(self) -> dict[str, mx.array]:
        """What the optimizer keeps, by the arrays' names, as MLX's optimizers have it over a tree of arrays."""
        named = dict(cast("list[tuple[str, mx.array]]", tree_flatten(self._optimizer.state)))
        if not self.layout:
            return named
        by_name: dict[str, mx.array] = {}
        for key, value in named.items():
            if key.startswith(f"{VECTOR}."):
                parts = zip(self._names, self.layout.split(value), strict=True)
                by_name |= {f"{name}.{key.removeprefix(f'{VECTOR}.')}": part for name, part in parts}
            else:
                by_name[key] = value
        return by_name

    def restore(self, by_name: dict[str, mx.array]) -> None:
        """Take up what `state` gave."""
        # Names of arrays have dots themselves: what is not of one of them is the optimizer's own.
        state: dict[str, Any] = {}
        for key, value in by_name.items():
            name, _, kind = key.rpartition(".")
            (state.setdefault(name, {}) if name else state)[kind] = value
        if self.layout:
            kinds = state[self._names[0]]
            vectors = {kind: self.layout.join([state[name][kind] for name in self._names]) for kind in kinds}
            state = {key: value for key, value in state.items() if key not in self._names} | {VECTOR: vectors}
        self._optimizer.state = state
