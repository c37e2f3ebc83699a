"""A model folder's config.json in the words of mlx-lm, whichever tool wrote it.

Transformers 5 says some of it in other words (rope_parameters, layer_types, per_layer_config); mlx-lm would take its
own defaults for what it does not find, without a word: a Gemma 3 4B would lose its rope scaling.
"""

from __future__ import annotations

from typing import Any

from gemmalocal.errors import ModelError
from gemmalocal.planning.model_sizes import FULL, SLIDING

TORCH = "Take the other engine for it: backend: torch."


def overrides(config: dict[str, Any]) -> dict[str, Any]:
    """What to change in `config` before mlx-lm reads it; raises `ModelError` for a layout that it cannot express."""
    text_config = config.get("text_config")
    if text_config:
        sizes = {"vocab_size": text_config["vocab_size"]} if "vocab_size" in text_config else {}
        return {"text_config": text_config | _text_overrides(text_config), **sizes}
    return _text_overrides(config)


def _text_overrides(config: dict[str, Any]) -> dict[str, Any]:
    family = config.get("model_type", "")
    if family.startswith("gemma4"):
        return _gemma4_overrides(config)
    changed: dict[str, Any] = {}
    ropes = config.get("rope_parameters") or {}
    if family.startswith("gemma3"):
        changed |= _sliding_pattern(config)
        if SLIDING in ropes:
            changed["rope_local_base_freq"] = ropes[SLIDING]["rope_theta"]
        ropes = ropes.get(FULL, ropes)
        if ropes.get("rope_type", "default") != "default":
            changed["rope_scaling"] = {key: value for key, value in ropes.items() if key != "rope_theta"}
    if "rope_theta" in ropes:
        changed["rope_theta"] = ropes["rope_theta"]
    return changed


def _sliding_pattern(config: dict[str, Any]) -> dict[str, Any]:
    """Gemma 3's layers: sliding ones, and every so many a full one."""
    kinds = config.get("layer_types")
    if not kinds or FULL not in kinds:
        return {}
    period = kinds.index(FULL) + 1
    if kinds != [FULL if (index + 1) % period == 0 else SLIDING for index in range(len(kinds))]:
        raise ModelError(
            "Its sliding and full layers alternate in no regular pattern, which MLX's Gemma 3 cannot run.", TORCH
        )
    return {"sliding_window_pattern": period}


def _gemma4_overrides(config: dict[str, Any]) -> dict[str, Any]:
    """Gemma 4's full layers have head sizes and key-value heads of their own."""
    # What a configuration leaves out is not there; mlx-lm would take E2B's numbers.
    changed = {key: 0 for key in ("num_kv_shared_layers", "hidden_size_per_layer_input") if key not in config}
    layers: dict[str, Any] = config.get("per_layer_config") or {}
    kinds = config.get("layer_types") or []
    full = [layers.get(str(index), {}) for index, kind in enumerate(kinds) if kind == FULL]
    if layers and any(layer.get("head_dim") != full[0].get("head_dim") for layer in full):
        raise ModelError("Its full layers differ in their head sizes, which MLX's Gemma 4 cannot run.", TORCH)
    if layers and full:
        changed["global_head_dim"] = full[0].get("head_dim", config.get("head_dim"))
        if "num_key_value_heads" in full[0]:
            changed["num_global_key_value_heads"] = full[0]["num_key_value_heads"]
        widths = {layer["intermediate_size"] for layer in layers.values() if "intermediate_size" in layer}
        changed["use_double_wide_mlp"] = bool(widths)
    return changed
