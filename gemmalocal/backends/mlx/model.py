"""Load a language model through mlx-lm and make its layers ready for an adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_lm.utils import load_model

from gemmalocal.backends.mlx import cpu, device
from gemmalocal.errors import ModelError

FAMILIES = ("gemma", "gemma2", "gemma3_text")
DTYPES = {"float32": mx.float32, "bfloat16": mx.bfloat16, "float16": mx.float16}


def load(folder: Path, dtype: str) -> Any:
    """A frozen model with its weights in memory; raises `ModelError` for what is not a Gemma that we can tune."""
    try:
        model, config = load_model(folder, lazy=True)
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise ModelError(
            f"{folder} cannot be loaded: {error}", "Give a folder with config.json and safetensors."
        ) from error
    family = config.get("model_type")
    if family not in FAMILIES:
        raise ModelError(f"{folder.name} is a '{family}' model; so far these can be tuned: {', '.join(FAMILIES)}.")
    model.freeze()
    if dtype == "auto" and device.on_cpu():
        dtype = "float32"  # bfloat16 products are 40 times slower than float32 ones on a CPU
    if dtype in DTYPES:
        model.set_dtype(DTYPES[dtype])
    mx.eval(model.parameters())
    if device.on_cpu():
        cpu.quicken(model.model.layers)
    return model


def checkpoint(layers: list[Any]) -> None:
    """Recompute these layers' activations in the backward pass; only these objects change, not their class."""
    for layer in layers:
        plain = type(layer)

        def call(self: Any, *args: Any, plain: Any = plain, **kwargs: Any) -> mx.array:
            def inner(parameters: Any, *args: Any, **kwargs: Any) -> mx.array:
                self.update(parameters)
                return plain.__call__(self, *args, **kwargs)

            found: mx.array = mx.checkpoint(inner)(self.trainable_parameters(), *args, **kwargs)
            return found

        layer.__class__ = type(f"Checkpointed{plain.__name__}", (plain,), {"__call__": call})
