"""What llama.cpp must know of a Gemma beside its tensors. Source: llama.cpp's convert_hf_to_gguf.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from gemmalocal.errors import ModelError
from gemmalocal.planning.model_sizes import FULL, SLIDING
from gemmalocal.weights.agree import TensorShapes
from gemmalocal.weights.gguf_gemma import query_scale
from gemmalocal.weights.tensors import Floats

USUAL = 6  # of so many layers of Gemma 3 the last one is full
NEVER = 1e30  # what divides the frequency of a pair of numbers that is not turned


def metadata(architecture: str, config: dict[str, Any], shapes: TensorShapes) -> dict[str, Any]:
    """llama.cpp's metadata of a text model, by keys without the architecture in front (`block_count`).

    `config` is its config.json, in the words of transformers 4 or 5; `shapes` are by llama.cpp's names, and only Gemma
    4's are looked at. Raises `ModelError` for scales and patterns of layers that GGUF cannot describe.
    """
    heads = config["num_attention_heads"]
    size = config.get("head_dim") or config["hidden_size"] // heads
    fields = {
        "context_length": config.get("max_position_embeddings", 8192),
        "embedding_length": config["hidden_size"],
        "block_count": config["num_hidden_layers"],
        "feed_forward_length": config["intermediate_size"],
        "attention.head_count": heads,
        "attention.head_count_kv": config.get("num_key_value_heads", heads),
        "attention.layer_norm_rms_epsilon": float(config.get("rms_norm_eps", 1e-6)),
        "attention.key_length": size,
        "attention.value_length": size,
        "rope.freq_base": _rope(config, FULL, "rope_theta", 1e6 if architecture in ("gemma3", "gemma4") else 1e4),
    }
    if architecture == "gemma":
        return fields
    fields["attention.sliding_window"] = config.get("sliding_window") or 4096
    if architecture != "gemma4":
        _check_scale(architecture, config | {"head_dim": size})
    if architecture == "gemma2":
        for key in ("attn_logit_softcapping", "final_logit_softcapping"):
            fields[key] = float(config.get(key) or {"a": 50.0, "f": 30.0}[key[0]])
        return fields
    fields["rope.freq_base_swa"] = _rope(config, SLIDING, "rope_local_base_freq", 1e4)
    if architecture == "gemma4":
        return fields | _gemma4(config, shapes)
    if (every := _pattern(config)) != USUAL:
        fields["attention.sliding_window_pattern"] = every
    scaling = config.get("rope_scaling") or (config.get("rope_parameters") or {}).get(FULL) or {}
    if scaling.get("rope_type", scaling.get("type")) == "linear":
        fields |= {"rope.scaling.type": "linear", "rope.scaling.factor": float(scaling["factor"])}
    return fields


def _check_scale(architecture: str, config: dict[str, Any]) -> None:
    """llama.cpp knows how Gemma 2 and 3 scale their queries from the count of layers, and cannot be told."""
    stated_scale, expected_scale = config.get("query_pre_attn_scalar"), query_scale(architecture, config)
    if stated_scale is not None and stated_scale != expected_scale:
        raise ModelError(
            f"Its queries are scaled for a width of {stated_scale}, and llama.cpp would take {expected_scale}.",
            "Export it as merged.",
        )


def _pattern(config: dict[str, Any]) -> int:
    """Every how many layers one of Gemma 3 is full, in the words of transformers 4 or 5; raises `ModelError`."""
    kinds = config.get("layer_types")
    if not kinds:
        return int(config.get("sliding_window_pattern") or USUAL)
    every = kinds.index(FULL) + 1 if FULL in kinds else len(kinds) + 1
    if kinds != [SLIDING if (layer + 1) % every else FULL for layer in range(len(kinds))]:
        raise ModelError("Its full layers are not evenly spaced, which GGUF cannot describe.", "Export it as merged.")
    return every


def _gemma4(config: dict[str, Any], shapes: TensorShapes) -> dict[str, Any]:
    """Sizes that differ by layer are taken from the tensors, since transformers 4 and 5 write them in other words."""
    kinds: list[str] = config["layer_types"]
    head = {kind: shapes[f"blk.{kinds.index(kind)}.attn_q_norm.weight"][0] for kind in kinds}
    keys = {kind: shapes[f"blk.{kinds.index(kind)}.attn_k.weight"][0] // head[kind] for kind in kinds}
    wide = [shapes[f"blk.{layer}.ffn_up.weight"][0] for layer in range(len(kinds))]
    full, sliding = head.get(FULL, head[kinds[0]]), head.get(SLIDING, head[kinds[0]])
    fields = {
        "feed_forward_length": wide[0] if len(set(wide)) == 1 else wide,
        "attention.head_count_kv": keys[kinds[0]] if len(set(keys.values())) == 1 else [keys[kind] for kind in kinds],
        "attention.sliding_window_pattern": [kind == SLIDING for kind in kinds],
        "attention.shared_kv_layers": config.get("num_kv_shared_layers") or 0,
        "embedding_length_per_layer_input": config.get("hidden_size_per_layer_input") or 0,
    }
    for key in ("attention.key_length", "attention.value_length", "rope.dimension_count"):
        fields |= {key: full, f"{key}_swa": sliding}
    if cap := config.get("final_logit_softcapping"):
        fields["final_logit_softcapping"] = float(cap)
    if config.get("num_experts"):
        fields["expert_count"] = config["num_experts"]
        fields["expert_used_count"] = config["top_k_experts"]
        fields["expert_feed_forward_length"] = config["moe_intermediate_size"]
    return fields


def rope_divisors(config: dict[str, Any], head: int) -> Floats:
    """What the rotary frequencies of Gemma 4's full layers are divided by: float32 (head / 2,).

    Only the first part of a head's pairs is turned by position; the others are divided by `NEVER`.
    """
    parameters = (config.get("rope_parameters") or {}).get(FULL)
    share = parameters.get("partial_rotary_factor", 1.0) if parameters else 0.25  # as transformers takes it
    rotated = int(head * share / 2)
    return np.array([1.0] * rotated + [NEVER] * (head // 2 - rotated), np.float32)


def _rope(config: dict[str, Any], kind: str, key: str, default: float) -> float:
    """A base of rotary positions, as transformers 4 or 5 writes it."""
    parameters = config.get("rope_parameters") or {}
    nested = parameters.get(kind, parameters) if isinstance(parameters, dict) else {}
    return float(nested.get("rope_theta", config.get(key, default)))
