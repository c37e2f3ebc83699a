"""Adapters that cross: PEFT's layout, which ours is, to mlx-lm's own and back.

mlx-lm keeps lora_a (in, rank), lora_b (rank, out) and a scale; PEFT lora_A (rank, in), lora_B (out, rank) and
alpha = scale * rank. DoRA's magnitude (out,) is `m` there. Tensors come out as float32.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save_file

from gemmalocal.backends import peft_adapter
from gemmalocal.errors import ModelError
from gemmalocal.files import atomic, targets
from gemmalocal.weights.tensors import Floats

Tensors = dict[str, Floats]

MLX_WEIGHTS, CONFIG = "adapters.safetensors", peft_adapter.CONFIG
TEXT_PREFIX, WRAPPED_PREFIX = "model.", peft_adapter.WRAPPER


class ModulePrefixes(NamedTuple):
    """What stands before `layers.` in the names of modules."""

    peft: str  # as in transformers' classes
    mlx: str


MODULE_PREFIXES = {
    "gemma": ModulePrefixes(TEXT_PREFIX, TEXT_PREFIX),
    "gemma2": ModulePrefixes(TEXT_PREFIX, TEXT_PREFIX),
    "gemma3_text": ModulePrefixes(TEXT_PREFIX, TEXT_PREFIX),
    "gemma3": ModulePrefixes(WRAPPED_PREFIX, "language_model.model."),
    "gemma3n": ModulePrefixes(WRAPPED_PREFIX, "model.language_model."),
    "gemma4_text": ModulePrefixes(TEXT_PREFIX, TEXT_PREFIX),
    "gemma4": ModulePrefixes(WRAPPED_PREFIX, "language_model.model."),
    "gemma4_unified": ModulePrefixes(WRAPPED_PREFIX, "language_model.model."),
}
# A tensor's name within its module, in PEFT's layout and in mlx-lm's.
MLX_TENSORS = {"lora_A": "lora_a", "lora_B": "lora_b", "lora_magnitude_vector": "m"}
# The whole name of a tensor: its module, and its name in there; PEFT's magnitude has no `.weight` behind it.
_PEFT_NAME = re.compile(rf"{re.escape(peft_adapter.PREFIX)}(.+?)\.({'|'.join(MLX_TENSORS)})(?:\.weight)?")
_MLX_NAME = re.compile(rf"(.+)\.({'|'.join(MLX_TENSORS.values())})")
_LAYER = re.compile(r"layers\.(\d+)\.(.+)")  # a module's layer, and its name in there
# What PEFT can say and mlx-lm cannot, and what then stands there.
PEFT_DEFAULTS: dict[str, Any] = {
    "rank_pattern": {},
    "alpha_pattern": {},
    "modules_to_save": [],
    "fan_in_fan_out": False,
    "bias": "none",
    "layer_replication": [],
    "lora_bias": False,
}


def is_mlx(folder: Path) -> bool:
    """Whether a folder holds an adapter in mlx-lm's layout."""
    return (folder / MLX_WEIGHTS).is_file()


def to_mlx(source: Path, model: dict[str, Any], target: Path) -> None:
    """PEFT's adapter in `source` on a model with that config.json, written to `target` for mlx-lm.

    Raises `ModelError` for what is no such adapter, and for what mlx-lm cannot express.
    """
    tensors, config = peft_adapter.load(source, peft_adapter.WEIGHTS)
    unsupported = [key for key, default in PEFT_DEFAULTS.items() if (config.get(key) or default) != default]
    if config.get("peft_type") != "LORA" or unsupported:
        features = ", ".join(unsupported) or f"peft_type {config.get('peft_type')}"
        raise ModelError(
            f"mlx-lm has nothing for {features} of {source / CONFIG}.", "Only plain LoRA and DoRA can be converted."
        )
    prefixes, converted = _module_prefixes(model), Tensors()
    for name, value in tensors.items():
        module, inner = _split_name(_PEFT_NAME, name, prefixes.peft)
        converted[f"{prefixes.mlx}{module}.{MLX_TENSORS[inner]}"] = value.T
    layers, keys = _layers_and_modules(name.rpartition(".")[0].removeprefix(prefixes.mlx) for name in converted)
    rank = int(config["r"])
    text_config = model.get("text_config") or model
    mlx_config = {
        "model": config.get("base_model_name_or_path"),
        "fine_tune_type": "dora" if config.get("use_dora") else "lora",
        "num_layers": int(text_config["num_hidden_layers"]) - min(layers),
        "lora_parameters": {
            "rank": rank,
            "scale": peft_adapter.scale(config, rank),
            "dropout": config.get("lora_dropout", 0.0),
            "keys": keys,
        },
    }
    _write(target, MLX_WEIGHTS, converted, mlx_config)


def to_peft(source: Path, model: dict[str, Any], base: str, target: Path) -> None:
    """mlx-lm's adapter in `source` on a model with that config.json, named `base`, written to `target` for PEFT.

    Raises `ModelError` for what is no such adapter.
    """
    tensors, config = peft_adapter.load(source, MLX_WEIGHTS)
    kind, lora = config.get("fine_tune_type", "lora"), config.get("lora_parameters") or {}
    if kind not in ("lora", "dora") or not {"rank", "scale"} <= lora.keys():
        raise ModelError(
            f"{source / CONFIG} describes no LoRA of mlx-lm ({kind}).", "Only LoRA and DoRA can be converted."
        )
    prefixes, converted, modules = _module_prefixes(model), Tensors(), list[str]()
    peft_names = {theirs: ours for ours, theirs in MLX_TENSORS.items()}
    for name, value in tensors.items():
        module, inner = _split_name(_MLX_NAME, name, prefixes.mlx)
        if value.ndim > 2:
            raise ModelError(f"{name} is of an expert, for which PEFT has no layer.", "Train the projections only.")
        if _shares_keys(module, model):
            continue
        modules.append(module)
        suffix = "" if inner == "m" else ".weight"
        converted[f"{peft_adapter.PREFIX}{prefixes.peft}{module}.{peft_names[inner]}{suffix}"] = value.T
    layers, keys = _layers_and_modules(modules)
    projections = list(dict.fromkeys(key.rpartition(".")[2] for key in keys))
    rank, dropout = lora["rank"], lora.get("dropout", 0.0)
    peft_config = peft_adapter.lora_config(base, rank, lora["scale"] * rank, dropout, kind == "dora")
    peft_config |= peft_adapter.where(projections, layers, prefixes.peft == WRAPPED_PREFIX)
    _write(target, peft_adapter.WEIGHTS, converted, peft_config)


def _module_prefixes(model: dict[str, Any]) -> ModulePrefixes:
    family = model.get("model_type", "")
    if family not in MODULE_PREFIXES:
        raise ModelError(
            f"'{family}' is not a Gemma whose names are known.", f"Known are {', '.join(MODULE_PREFIXES)}."
        )
    return MODULE_PREFIXES[family]


def _split_name(pattern: re.Pattern[str], name: str, prefix: str) -> tuple[str, str]:
    """`layers.0.mlp.up_proj` and the tensor's name in there, out of a whole name; raises `ModelError` for others."""
    match = pattern.fullmatch(name)
    if not match or not _LAYER.fullmatch(match[1].removeprefix(prefix)) or not match[1].startswith(prefix):
        raise ModelError(
            f"{name} is not a LoRA tensor of this model's layers.", "Give the --model that it was trained on."
        )
    return match[1].removeprefix(prefix), match[2]


def _shares_keys(module: str, model: dict[str, Any]) -> bool:
    """Whether it is a projection of keys or values where a layer takes an earlier layer's.

    transformers has none there; mlx-lm's Gemma 3n has, and does not use it when it answers.
    """
    text_config = model.get("text_config") or model
    own_layers = text_config["num_hidden_layers"] - (text_config.get("num_kv_shared_layers") or 0)
    match = _LAYER.fullmatch(module)
    return bool(match and int(match[1]) >= own_layers and match[2] in ("self_attn.k_proj", "self_attn.v_proj"))


def _layers_and_modules(modules: Iterable[str]) -> tuple[list[int], list[str]]:
    """The layers and the modules within a layer that are adapted, each ascending: equal adapters give equal files."""
    matches = [match for module in modules if (match := _LAYER.fullmatch(module))]
    return sorted({int(match[1]) for match in matches}), sorted({match[2] for match in matches})


def _write(target: Path, weights: str, tensors: Tensors, config: dict[str, Any]) -> None:
    with atomic.new_folder(target, targets.empty) as folder:
        save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, folder / weights)
        (folder / CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
