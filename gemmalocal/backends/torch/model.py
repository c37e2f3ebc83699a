"""Load a language model through transformers and make it ready for training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recompute
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

from gemmalocal.backends import full_model
from gemmalocal.backends.torch import attention, cpu_memory, fused_ops
from gemmalocal.backends.torch.device import Precision
from gemmalocal.backends.torch.frozen_linear import QUANTIZED, FrozenLinear
from gemmalocal.errors import BackendUnavailable, ModelError
from gemmalocal.planning.model_sizes import FAMILIES
from gemmalocal.weights import agree

# Where multimodal models keep their text model: as transformers 5 saves it, and as it is published.
TEXT_MODEL_KEYS = {r"^model\.language_model\.": "model.", r"^language_model\.": ""}


class Loaded(NamedTuple):
    """A frozen text model; `wrapped` if it is the language model inside a multimodal one."""

    language_model: Any
    wrapped: bool


def load(folder: Path, precision: Precision, device: torch.device, bits: int | None = None) -> Loaded:
    """Weights on the device, quantized to `bits` if given; raises `ModelError` for what we cannot tune."""
    family = _family(folder)
    agree.check_folder(folder)
    logging.disable_progress_bar()
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # towers that are left out are told by the pipeline
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        language_model, loading_info = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config.get_text_config(),
            dtype="auto" if precision.mixed else precision.weights,
            key_mapping=TEXT_MODEL_KEYS,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{folder} cannot be loaded: {error}", "Give a folder with config.json and safetensors."
        ) from error
    finally:
        logging.set_verbosity(verbosity)
    if loading_info["missing_keys"]:
        missing = ", ".join(sorted(loading_info["missing_keys"])[:3])
        raise ModelError(f"{folder.name} lacks weights: {missing}.", "Fetch the model again, with all its files.")
    language_model.eval().requires_grad_(False)
    _move_weights(language_model, precision, device, bits)
    fused_ops.use_fused_ops(language_model)
    language_model.config._attn_implementation = attention.NAME
    return Loaded(language_model, family != language_model.config.model_type)


def _family(folder: Path) -> str:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder} cannot be loaded: {error}", "Give a folder with config.json.") from error
    family = str(config.get("model_type"))
    if family not in FAMILIES:
        raise ModelError(
            f"{folder.name} is a '{family}' model.", f"These can be tuned: {', '.join(FAMILIES.values())}."
        )
    if "quantization" in config:
        raise ModelError(
            f"{folder.name} is quantized in MLX's layout, which torch cannot read.",
            "Take the unquantized model, and set quantize in the recipe if memory is short.",
        )
    return family


def _move_weights(language_model: Any, precision: Precision, device: torch.device, bits: int | None) -> None:
    """Move the weights to the device, those of linear layers as they will be multiplied, one after the other."""
    if bits and any(hasattr(layer, "experts") for layer in language_model.model.layers):
        raise BackendUnavailable(
            "The experts of this model would stay unquantized.", "Leave quantize out, or set backend: mlx."
        )
    linear_class = QUANTIZED[bits] if bits else FrozenLinear
    for path, module in list(language_model.named_modules()):
        if isinstance(module, nn.Linear) and module is not language_model.lm_head and (bits or precision.mixed):
            owner_path, _, name = path.rpartition(".")
            setattr(
                language_model.get_submodule(owner_path),
                name,
                linear_class(cpu_memory.move(module.weight, device, precision.weights)),
            )
        elif precision.mixed and isinstance(module, (nn.Linear, nn.Embedding)):
            module.weight.data = cpu_memory.move(module.weight.data, device, precision.weights)
            module.register_forward_hook(lambda module, inputs, output: output.to(precision.stream))
        elif precision.mixed and not isinstance(module, FrozenLinear):
            for parameter in module.parameters(recurse=False):
                parameter.data = cpu_memory.move(parameter.data, device, precision.stream)
    if bits:  # what is left may be the file itself, mapped whole into memory
        for parameter in language_model.parameters():
            parameter.data = cpu_memory.move(parameter.data, device, parameter.dtype)
    language_model.to(device)


def unfreeze_all(language_model: Any, wrapped: bool) -> None:
    """Unfreeze every weight; raises `ModelError` where the result could not be written as a model again."""
    full_model.require_trainable(language_model.model.layers, wrapped)
    language_model.requires_grad_(True)


def checkpoint_layers(layers: list[nn.Module]) -> None:
    """Recompute these layers' activations in the backward pass; only these objects change, not their class.

    Gradient checkpointing, https://arxiv.org/abs/1604.06174.
    """
    for layer in layers:
        plain: Any = type(layer)

        def forward(self: Any, states: Tensor, *args: Any, plain: Any = plain, **kwargs: Any) -> Any:
            if not torch.is_grad_enabled():
                return plain.forward(self, states, *args, **kwargs)
            return recompute(
                plain.forward, self, states, *args, use_reentrant=False, preserve_rng_state=False, **kwargs
            )

        layer.__class__ = type(f"Checkpointed{plain.__name__}", (plain,), {"forward": forward})
