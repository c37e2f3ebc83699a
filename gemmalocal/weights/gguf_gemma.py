"""config.json of the Gemma that a GGUF file's metadata describes: text models of Gemma 1, 2 and 3.

Source: llama.cpp's convert_hf_to_gguf.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gemmalocal.errors import ModelError

Value = Callable[..., Any]  # a metadata key, and what to return where it is missing

LARGEST_LAYERS = {"gemma2": 46, "gemma3": 62}  # the 27B models


def config(architecture: str, metadata: Value, vocabulary: int, tied: bool) -> dict[str, Any]:
    """config.json of the model that `metadata` (key, default) describes; ids of special tokens are left to the caller.

    Raises `ModelError` where a size is missing.
    """

    def value(key: str, default: Any = None) -> Any:
        return metadata(f"{architecture}.{key}", default)

    sizes = {
        "hidden_size": value("embedding_length"),
        "intermediate_size": value("feed_forward_length"),
        "num_hidden_layers": value("block_count"),
        "num_attention_heads": value("attention.head_count"),
    }
    if missing := [key for key, size in sizes.items() if not isinstance(size, int)]:
        raise ModelError(f"The GGUF file does not say the model's {', '.join(missing)}.", "Download the file again.")
    common = {
        **sizes,
        "num_key_value_heads": value("attention.head_count_kv", sizes["num_attention_heads"]),
        "head_dim": value("attention.key_length", 256),
        "rms_norm_eps": float(f"{value('attention.layer_norm_rms_epsilon', 1e-6):.6g}"),  # 1e-6 as float32 is not 1e-6
        "max_position_embeddings": value("context_length", 8192),
        "vocab_size": vocabulary,
        "tie_word_embeddings": tied,
        "dtype": "float32",
    }
    return common | FAMILIES[architecture](value, common)


def _gemma(value: Value, common: dict[str, Any]) -> dict[str, Any]:
    return {
        "architectures": ["GemmaForCausalLM"],
        "model_type": "gemma",
        "hidden_act": "gelu_pytorch_tanh",
        "rope_theta": value("rope.freq_base", 10_000.0),
    }


def _gemma2(value: Value, common: dict[str, Any]) -> dict[str, Any]:
    return {
        "architectures": ["Gemma2ForCausalLM"],
        "model_type": "gemma2",
        "hidden_activation": "gelu_pytorch_tanh",
        "rope_theta": value("rope.freq_base", 10_000.0),
        "sliding_window": value("attention.sliding_window", 4096),
        "attn_logit_softcapping": value("attn_logit_softcapping", 50.0),
        "final_logit_softcapping": value("final_logit_softcapping", 30.0),
        "query_pre_attn_scalar": query_scale("gemma2", common),
    }


def _gemma3(value: Value, common: dict[str, Any]) -> dict[str, Any]:
    found = {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "hidden_activation": "gelu_pytorch_tanh",
        "rope_theta": value("rope.freq_base", 1_000_000.0),
        "rope_local_base_freq": value("rope.freq_base_swa", 10_000.0),
        "sliding_window": value("attention.sliding_window", 1024),
        "sliding_window_pattern": _pattern(value("attention.sliding_window_pattern", 6)),
        "query_pre_attn_scalar": query_scale("gemma3", common),
    }
    if value("rope.scaling.type") == "linear":  # 4B and larger
        found["rope_scaling"] = {"rope_type": "linear", "factor": value("rope.scaling.factor", 8.0)}
    return found


def query_scale(architecture: str, common: dict[str, Any]) -> int:
    """Only the 27B models scale queries by the width per head instead of the head's size."""
    if common["num_hidden_layers"] == LARGEST_LAYERS[architecture]:
        return int(common["hidden_size"] // common["num_attention_heads"])
    return int(common["head_dim"])


def _pattern(pattern: Any) -> int:
    """Every how many layers one is global; newer files list for each layer whether it slides."""
    if isinstance(pattern, list):
        return pattern.index(False) + 1 if False in pattern else len(pattern) + 1
    return int(pattern)


FAMILIES = {"gemma": _gemma, "gemma2": _gemma2, "gemma3": _gemma3}
ARCHITECTURES = tuple(FAMILIES)
