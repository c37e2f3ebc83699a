"""config.json of the Gemma that a GGUF file's metadata describes: text models of Gemma 1, 2, 3 and 4.

Source: llama.cpp's convert_hf_to_gguf.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gemmalocal.errors import ModelError
from gemmalocal.planning.model_sizes import FULL, SLIDING
from gemmalocal.weights.agree import TensorShapes
from gemmalocal.weights.gguf_names import EMBEDDING, OUTPUT

Value = Callable[..., Any]  # a metadata key, and what to return where it is missing

PER_LAYER = "per_layer_token_embd.weight"
LONG = 131_072  # tokens that Gemma 3 takes from 4B on, with its positions scaled by 8
LARGEST_LAYERS = {"gemma2": 46, "gemma3": 62}  # the 27B models


def config(architecture: str, metadata: Value, shapes: TensorShapes, rotated_pairs: int | None) -> dict[str, Any]:
    """config.json of the model that `metadata` (key, default) describes; ids of special tokens are left to the caller.

    `rotated_pairs`: how many pairs of a head's numbers Gemma 4's full layers turn by position, if the file says so.
    Raises `ModelError` where a size is missing, or contradicts another.
    """

    def value(key: str, default: Any = None) -> Any:
        return metadata(f"{architecture}.{key}", default)

    sizes = {
        "hidden_size": value("embedding_length"),
        "intermediate_size": min(_by_layer(value("feed_forward_length"))),
        "num_hidden_layers": value("block_count"),
        "num_attention_heads": value("attention.head_count"),
    }
    if missing := [key for key, size in sizes.items() if not isinstance(size, int)]:
        raise ModelError(f"The GGUF file does not say the model's {', '.join(missing)}.", "Download the file again.")
    common = {
        **sizes,
        "num_key_value_heads": _by_layer(value("attention.head_count_kv", sizes["num_attention_heads"]))[0],
        "head_dim": value("attention.key_length", 256),
        "rms_norm_eps": float(f"{value('attention.layer_norm_rms_epsilon', 1e-6):.6g}"),  # 1e-6 as float32 is not 1e-6
        "max_position_embeddings": value("context_length", 8192),
        "vocab_size": shapes[EMBEDDING][0],
        "tie_word_embeddings": OUTPUT not in shapes,
        "dtype": "float32",
    }
    if architecture == "gemma4":
        try:
            return common | _gemma4(value, common, shapes, rotated_pairs)
        except (IndexError, KeyError) as error:
            raise ModelError("The GGUF file's sizes and tensors do not agree.", "Download the file again.") from error
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
    """Also of Ollama's own files, which name positions' bases otherwise; from 4B on they say nothing of positions."""
    config = {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "hidden_activation": "gelu_pytorch_tanh",
        "rope_theta": value("rope.freq_base", value("rope.global.freq_base", 1_000_000.0)),
        "rope_local_base_freq": value("rope.freq_base_swa", value("rope.local.freq_base", 10_000.0)),
        "sliding_window": value("attention.sliding_window", 1024),
        "sliding_window_pattern": _pattern(value("attention.sliding_window_pattern", 6)),
        "query_pre_attn_scalar": query_scale("gemma3", common),
    }
    default_scaling = (
        "linear" if value("rope.freq_base") is None and common["max_position_embeddings"] >= LONG else None
    )
    if value("rope.scaling.type", default_scaling) == "linear":
        config["rope_scaling"] = {"rope_type": "linear", "factor": value("rope.scaling.factor", 8.0)}
    return config


def _gemma4(value: Value, common: dict[str, Any], shapes: TensorShapes, rotated_pairs: int | None) -> dict[str, Any]:
    """In the words of the published files: what full layers have of their own is called global."""
    slides = value("attention.sliding_window_pattern")
    if not isinstance(slides, list) or len(slides) != common["num_hidden_layers"]:
        raise ModelError("The GGUF file does not say which layers see a window.", "Take another GGUF of the model.")
    kinds = [SLIDING if is_sliding else FULL for is_sliding in slides]
    full, sliding = (kinds.index(kind) if kind in kinds else 0 for kind in (FULL, SLIDING))
    keys = _by_layer(value("attention.head_count_kv"), len(kinds))
    head, per_layer = common["head_dim"], value("embedding_length_per_layer_input", 0)
    config = {
        "architectures": ["Gemma4ForCausalLM"],
        "model_type": "gemma4_text",
        "hidden_activation": "gelu_pytorch_tanh",
        "layer_types": kinds,
        "head_dim": value("attention.key_length_swa", head),
        "global_head_dim": head,
        "num_key_value_heads": keys[sliding],
        "num_global_key_value_heads": keys[full] if keys[full] != keys[sliding] else None,
        "attention_k_eq_v": f"blk.{full}.attn_v.weight" not in shapes,
        "sliding_window": value("attention.sliding_window", 512),
        "num_kv_shared_layers": value("attention.shared_kv_layers", 0),
        "use_double_wide_mlp": len(set(_by_layer(value("feed_forward_length")))) > 1,
        "hidden_size_per_layer_input": per_layer,
        "vocab_size_per_layer_input": shapes[PER_LAYER][0] if per_layer else common["vocab_size"],
        "final_logit_softcapping": value("final_logit_softcapping"),
        "rope_parameters": {
            SLIDING: {"rope_type": "default", "rope_theta": value("rope.freq_base_swa", 10_000.0)},
            FULL: {
                "rope_type": "proportional",
                "rope_theta": value("rope.freq_base", 1_000_000.0),
                "partial_rotary_factor": 0.25 if rotated_pairs is None else 2 * rotated_pairs / head,
            },
        },
    }
    if experts := value("expert_count", 0):
        config |= {"enable_moe_block": True, "num_experts": experts, "top_k_experts": value("expert_used_count")}
        config["moe_intermediate_size"] = value("expert_feed_forward_length")
    return config


def _by_layer(value: Any, layers: int = 1) -> list[Any]:
    """A size by layer; files say those that are the same in all layers once."""
    return value if isinstance(value, list) and value else [value] * layers


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
ARCHITECTURES = (*FAMILIES, "gemma4")
