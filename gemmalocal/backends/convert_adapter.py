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
TEXT, WRAPPED = "model.", peft_adapter.WRAPPER


class Places(NamedTuple):
    """What stands before `layers.` in the names of modules."""

    peft: str  # as in transformers' classes
    mlx: str


PLACES = {
    "gemma": Places(TEXT, TEXT),
    "gemma2": Places(TEXT, TEXT),
    "gemma3_text": Places(TEXT, TEXT),
    "gemma3": Places(WRAPPED, "language_model.model."),
    "gemma3n": Places(WRAPPED, "model.language_model."),
    "gemma4_text": Places(TEXT, TEXT),
    "gemma4": Places(WRAPPED, "language_model.model."),
    "gemma4_unified": Places(WRAPPED, "language_model.model."),
}
INNER = {"lora_A": "lora_a", "lora_B": "lora_b", "lora_magnitude_vector": "m"}
_PEFT = re.compile(rf"{re.escape(peft_adapter.PREFIX)}(.+?)\.({'|'.join(INNER)})(?:\.weight)?")
_MLX = re.compile(rf"(.+)\.({'|'.join(INNER.values())})")
_LAYER = re.compile(r"layers\.(\d+)\.(.+)")
# What PEFT can say and mlx-lm cannot, and what then stands there.
PLAIN: dict[str, Any] = {"rank_pattern": {}, "alpha_pattern": {}, "modules_to_save": [], "fan_in_fan_out": False}
PLAIN |= {"bias": "none", "layer_replication": [], "lora_bias": False}


def is_mlx(folder: Path) -> bool:
    """Whether a folder holds an adapter in mlx-lm's layout."""
    return (folder / MLX_WEIGHTS).is_file()


def to_mlx(source: Path, model: dict[str, Any], target: Path) -> None:
    """PEFT's adapter in `source` on a model with that config.json, written to `target` for mlx-lm.

    Raises `ModelError` for what is no such adapter, and for what mlx-lm cannot express.
    """
    tensors, config = peft_adapter.load(source, peft_adapter.WEIGHTS)
    odd = [key for key, plain in PLAIN.items() if (config.get(key) or plain) != plain]
    if config.get("peft_type") != "LORA" or odd:
        what = ", ".join(odd) or f"peft_type {config.get('peft_type')}"
        raise ModelError(
            f"mlx-lm has nothing for {what} of {source / CONFIG}.", "Only plain LoRA and DoRA can be converted."
        )
    places, made = _places(model), Tensors()
    for name, value in tensors.items():
        module, inner = _parted(_PEFT, name, places.peft)
        made[f"{places.mlx}{module}.{INNER[inner]}"] = value.T
    layers, keys = _where(name.rpartition(".")[0].removeprefix(places.mlx) for name in made)
    rank = int(config["r"])
    text = model.get("text_config") or model
    about = {
        "model": config.get("base_model_name_or_path"),
        "fine_tune_type": "dora" if config.get("use_dora") else "lora",
        "num_layers": int(text["num_hidden_layers"]) - min(layers),
        "lora_parameters": {
            "rank": rank,
            "scale": peft_adapter.scale(config, rank),
            "dropout": config.get("lora_dropout", 0.0),
            "keys": keys,
        },
    }
    _write(target, MLX_WEIGHTS, made, about)


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
    places, made, modules = _places(model), Tensors(), list[str]()
    back = {theirs: ours for ours, theirs in INNER.items()}
    for name, value in tensors.items():
        module, inner = _parted(_MLX, name, places.mlx)
        if value.ndim > 2:
            raise ModelError(f"{name} is of an expert, for which PEFT has no layer.", "Train the projections only.")
        if _borrows(module, model):
            continue
        modules.append(module)
        suffix = "" if inner == "m" else ".weight"
        made[f"{peft_adapter.PREFIX}{places.peft}{module}.{back[inner]}{suffix}"] = value.T
    layers, keys = _where(modules)
    names = list(dict.fromkeys(key.rpartition(".")[2] for key in keys))
    rank, dropout = lora["rank"], lora.get("dropout", 0.0)
    about = peft_adapter.lora_config(base, rank, lora["scale"] * rank, dropout, kind == "dora")
    _write(target, peft_adapter.WEIGHTS, made, about | peft_adapter.where(names, layers, places.peft == WRAPPED))


def _places(model: dict[str, Any]) -> Places:
    family = model.get("model_type", "")
    if family not in PLACES:
        raise ModelError(f"'{family}' is not a Gemma whose names are known.", f"Known are {', '.join(PLACES)}.")
    return PLACES[family]


def _parted(pattern: re.Pattern[str], name: str, before: str) -> tuple[str, str]:
    """`layers.0.mlp.up_proj` and the tensor's own name, out of a whole name."""
    found = pattern.fullmatch(name)
    if not found or not _LAYER.fullmatch(found[1].removeprefix(before)) or not found[1].startswith(before):
        raise ModelError(
            f"{name} is no LoRA tensor of this model's layers.", "Give the --model that it was trained on."
        )
    return found[1].removeprefix(before), found[2]


def _borrows(module: str, model: dict[str, Any]) -> bool:
    """Whether it is a projection of keys or values where a layer takes an earlier layer's.

    transformers has none there; mlx-lm's Gemma 3n has, and does not use it when it answers.
    """
    text = model.get("text_config") or model
    own = text["num_hidden_layers"] - (text.get("num_kv_shared_layers") or 0)
    found = _LAYER.fullmatch(module)
    return bool(found and int(found[1]) >= own and found[2] in ("self_attn.k_proj", "self_attn.v_proj"))


def _where(modules: Iterable[str]) -> tuple[list[int], list[str]]:
    """The layers, ascending, and the modules within a layer, that are adapted."""
    found = [match for module in modules if (match := _LAYER.fullmatch(module))]
    return sorted({int(match[1]) for match in found}), list(dict.fromkeys(match[2] for match in found))


def _write(target: Path, weights: str, tensors: Tensors, config: dict[str, Any]) -> None:
    with atomic.new_folder(target, targets.empty) as folder:
        save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, folder / weights)
        (folder / CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
