"""Load a language model through mlx-lm and make its layers ready for training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, cast

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.utils import load_config, load_model

from gemmalocal.backends.mlx import attention, config_compat, cpu, device
from gemmalocal.backends.mlx.mlx_lm_fixes import REFUSED, mend
from gemmalocal.errors import ModelError
from gemmalocal.planning.memory import GROUP
from gemmalocal.planning.model_sizes import FAMILIES
from gemmalocal.weights import agree

DTYPES = {"float32": mx.float32, "bfloat16": mx.bfloat16, "float16": mx.float16}


class Loaded(NamedTuple):
    """A frozen text model; `wrapped` if it is the language model inside a multimodal one."""

    text: Any
    wrapped: bool


def load(folder: Path, dtype: str, quantize: int | None = None) -> Loaded:
    """Weights in memory, quantized to `quantize` bits if given; raises `ModelError` for what we cannot tune."""
    agree.folder(folder)
    try:
        config = load_config(folder)
        family = config.get("model_type")
        if family not in FAMILIES:
            raise ModelError(*_refusal(folder, str(family)))
        model, _ = load_model(folder, lazy=True, model_config=config_compat.overrides(config))
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{folder} cannot be loaded: {error}", "Give a folder with config.json and safetensors."
        ) from error
    model.freeze()
    wrapped = "language_model" in model
    text = model.language_model if wrapped else model
    if quantize:
        _quantize(text, quantize, folder)
    if dtype == "auto" and device.on_cpu():
        dtype = "float32"  # bfloat16 products are 40 times slower than float32 ones on a CPU
    if dtype in DTYPES:
        text.set_dtype(DTYPES[dtype])
    del model
    parameters: Any = tree_flatten(text.parameters())
    for _, value in parameters:
        mx.eval(value)  # one by one: what is quantized is never in memory as a whole
    mend(text, str(family))
    attention.lengthen(text.model, config.get("text_config") or config)
    if device.on_cpu():
        cpu.quicken(text.model.layers)
    return Loaded(text, wrapped)


def train_whole(text: Any, wrapped: bool) -> None:
    """Unfreeze every weight; raises `ModelError` where the result could not be written as a model again."""
    if wrapped:
        raise ModelError("A multimodal model cannot be trained whole.", "Set method to lora or dora.")
    if any(hasattr(layer, "experts") for layer in text.model.layers):
        raise ModelError("A model with experts cannot be trained whole.", "Set method to lora or dora.")
    if any(isinstance(module, (nn.QuantizedLinear, nn.QuantizedEmbedding)) for module in text.modules()):
        raise ModelError(
            "A quantized model cannot be trained whole.", "Set method to lora, or take the unquantized one."
        )
    text.unfreeze()


def _refusal(folder: Path, family: str) -> tuple[str, str]:
    if family in REFUSED:
        return f"{folder.name} cannot be tuned yet: {REFUSED[family]}.", "Take a Gemma 3 or a Gemma 4."
    return f"{folder.name} is a '{family}' model.", f"These can be tuned: {', '.join(FAMILIES.values())}."


def _quantize(text: Any, bits: int, folder: Path) -> None:
    """The frozen weights of QLoRA (https://arxiv.org/abs/2305.14314), in MLX's affine groups instead of NF4."""
    if any(isinstance(module, nn.QuantizedLinear) for module in text.modules()):
        raise ModelError(f"{folder.name} is quantized already.", "Leave quantize out of the recipe.")
    choose = getattr(text, "quant_predicate", None)

    def wanted(path: str, module: Any) -> Any:
        if not hasattr(module, "to_quantized") or module.weight.shape[-1] % GROUP:
            return False
        return choose(path, module) if choose else True

    nn.quantize(text, GROUP, bits, class_predicate=wanted)


@mx.custom_function
def gate(states: mx.array, weights: Any) -> Any:
    """What goes in, unchanged; backward, the slope of `states` waits for those of the weights.

    MLX goes through a graph breadth first from its outputs (see streams.py). Slopes of weights are outputs: left alone,
    those of all layers come last, and keep every layer's recomputed activations in memory until then.
    """
    return states, weights


@gate.vjp  # type: ignore[untyped-decorator]
def _gate_vjp(primals: Any, cotangents: Any, outputs: Any) -> Any:
    states, weights = cotangents
    slopes = [value for _, value in cast("list[Any]", tree_flatten(weights))]
    return mx.depends([states], slopes)[0], weights


def checkpoint(layers: list[Any]) -> None:
    """Recompute these layers' activations in the backward pass; only these objects change, not their class."""
    for layer in layers:
        plain = type(layer)

        def call(self: Any, states: mx.array, *args: Any, plain: Any = plain, **kwargs: Any) -> mx.array:
            def inner(parameters: Any, *args: Any, **kwargs: Any) -> mx.array:
                self.update(parameters)
                return plain.__call__(self, *args, **kwargs)

            states, parameters = cast(Any, gate)(states, self.trainable_parameters())
            found: mx.array = mx.checkpoint(inner)(parameters, states, *args, **kwargs)
            return found

        layer.__class__ = type(f"Checkpointed{plain.__name__}", (plain,), {"__call__": call})
