"""Load a language model through mlx-lm and make its layers ready for training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, cast

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.models import gemma, gemma2, gemma3_text
from mlx_lm.utils import load_config, load_model

from gemmalocal.backends import full_model
from gemmalocal.backends.mlx import attention, compute_path, config_compat, cpu, geglu
from gemmalocal.backends.mlx.mlx_lm_fixes import REFUSED, apply_fixes
from gemmalocal.errors import ModelError
from gemmalocal.planning.memory import GROUP
from gemmalocal.planning.model_sizes import FAMILIES
from gemmalocal.weights import agree

NORMS_FROM_ONE = (gemma.RMSNorm, gemma2.RMSNorm, gemma3_text.RMSNorm)  # whose weight is what a scale is more than 1
DTYPES = {"float32": mx.float32, "bfloat16": mx.bfloat16, "float16": mx.float16}


class Loaded(NamedTuple):
    """A frozen language model; `wrapped` if it is the one inside a multimodal model."""

    language_model: Any
    wrapped: bool


def load(folder: Path, dtype: str, quantize: int | None = None) -> Loaded:
    """Weights in memory, quantized to `quantize` bits if given; raises `ModelError` for what we cannot tune."""
    agree.check_folder(folder)
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
    language_model = model.language_model if wrapped else model
    if quantize:
        _quantize(language_model, quantize, folder)
    path = compute_path.current()
    if dtype == "auto" and path.auto_dtype == "float32":
        dtype = path.auto_dtype
    if dtype in DTYPES:
        language_model.set_dtype(DTYPES[dtype])
    del model
    parameters: Any = tree_flatten(language_model.parameters())
    for _, value in parameters:
        mx.eval(value)  # one by one: what is quantized is never in memory as a whole
    apply_fixes(language_model, str(family))
    attention.use_chunked_attention(language_model.model, config.get("text_config") or config)
    geglu.use_geglu(language_model.model.layers, keep_tanh=path.cheap_elementwise)
    if path.cheap_elementwise:
        cpu.use_rope_tables(language_model.model.layers)
    return Loaded(language_model, wrapped)


def fold_norms(language_model: Any) -> None:
    """Add the 1 to the weights of norms that are not trained, instead of each time they are used."""
    for module in language_model.modules():
        if isinstance(module, NORMS_FROM_ONE):
            module.__class__ = nn.RMSNorm
            module.weight = 1.0 + module.weight
            mx.eval(module.weight)


def unfreeze_all(language_model: Any, wrapped: bool) -> None:
    """Unfreeze every weight; raises `ModelError` where the result could not be written as a model again."""
    full_model.require_trainable(language_model.model.layers, wrapped)
    if any(isinstance(module, (nn.QuantizedLinear, nn.QuantizedEmbedding)) for module in language_model.modules()):
        raise ModelError(
            "A quantized model cannot be trained whole.", "Set method to lora, or take the unquantized one."
        )
    language_model.unfreeze()


def _refusal(folder: Path, family: str) -> tuple[str, str]:
    if family in REFUSED:
        return f"{folder.name} cannot be tuned yet: {REFUSED[family]}.", "Take a Gemma 3 or a Gemma 4."
    return f"{folder.name} is a '{family}' model.", f"These can be tuned: {', '.join(FAMILIES.values())}."


def _quantize(language_model: Any, bits: int, folder: Path) -> None:
    """The frozen weights of QLoRA (https://arxiv.org/abs/2305.14314), in MLX's affine groups instead of NF4."""
    if any(isinstance(module, nn.QuantizedLinear) for module in language_model.modules()):
        raise ModelError(f"{folder.name} is quantized already.", "Leave quantize out of the recipe.")
    predicate = getattr(language_model, "quant_predicate", None)  # mlx-lm's own: which layers, and how

    def quantization(path: str, module: Any) -> Any:
        if not hasattr(module, "to_quantized") or module.weight.shape[-1] % GROUP:
            return False
        return predicate(path, module) if predicate else True

    nn.quantize(language_model, GROUP, bits, class_predicate=quantization)


@mx.custom_function
def weight_gradients_first(states: mx.array, weights: Any) -> Any:
    """What goes in, unchanged; backward, the gradient of `states` waits for those of the weights.

    MLX goes through a graph breadth first from its outputs (see streams.py). Gradients of weights are outputs: left
    alone, those of all layers come last, and keep every layer's recomputed activations in memory until then.
    """
    return states, weights


@weight_gradients_first.vjp  # type: ignore[untyped-decorator]
def _weight_gradients_first_vjp(primals: Any, cotangents: Any, outputs: Any) -> Any:
    states_gradient, weight_gradients = cotangents
    dependencies = [gradient for _, gradient in cast("list[Any]", tree_flatten(weight_gradients))]
    return mx.depends([states_gradient], dependencies)[0], weight_gradients


def checkpoint_layers(layers: list[Any]) -> None:
    """Recompute these layers' activations in the backward pass; only these objects change, not their class.

    Gradient checkpointing, https://arxiv.org/abs/1604.06174.
    """
    for layer in layers:
        plain = type(layer)

        def forward(self: Any, states: mx.array, *args: Any, plain: Any = plain, **kwargs: Any) -> mx.array:
            # MLX differentiates with respect to arguments alone: so the weights are arguments.
            def with_weights(weights: Any, *args: Any, **kwargs: Any) -> mx.array:
                self.update(weights)
                return plain.__call__(self, *args, **kwargs)

            states, weights = cast(Any, weight_gradients_first)(states, self.trainable_parameters())
            output: mx.array = mx.checkpoint(with_weights)(weights, states, *args, **kwargs)
            return output

        layer.__class__ = type(f"Checkpointed{plain.__name__}", (plain,), {"__call__": forward})
