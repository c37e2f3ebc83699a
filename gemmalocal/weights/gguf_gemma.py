"""What llama.cpp calls the parts of a Gemma: tensor names and metadata keys to transformers' own.

Covered: the text models of Gemma 1, 2 and 3 (`gemma`, `gemma2`, `gemma3`). Source: llama.cpp's convert_hf_to_gguf.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gemmalocal.errors import ModelError

Value = Callable[..., Any]  # a metadata key, and what to return where it is missing

OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
COMMON = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_norm": "input_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
FOUR_NORMS = {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
QUERY_NORMS = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
INNER = {
    "gemma": {**COMMON, "ffn_norm": "post_attention_layernorm"},
    "gemma2": {**COMMON, **FOUR_NORMS},
    "gemma3": {**COMMON, **FOUR_NORMS, **QUERY_NORMS},
}
ARCHITECTURES = tuple(INNER)
MODEL_TYPES = {"gemma": "gemma", "gemma2": "gemma2", "gemma3_text": "gemma3", "gemma3": "gemma3"}
EMBEDDING, OUTPUT = "token_embd.weight", "output.weight"
LARGEST_LAYERS = {"gemma2": 46, "gemma3": 62}  # the 27B models


def tensor_name(name: str, architecture: str) -> str:
    """llama.cpp's name of a tensor to transformers'; raises `ModelError` for one that this model does not have."""
    stem = name.removesuffix(".weight")
    if stem in OUTER:
        return f"{OUTER[stem]}.weight"
    parts = stem.split(".")
    inner = INNER[architecture]
    if len(parts) == 3 and parts[0] == "blk" and parts[1].isdigit() and parts[2] in inner:
        return f"model.layers.{parts[1]}.{inner[parts[2]]}.weight"
    raise ModelError(f"The GGUF file holds a tensor that a {architecture} text model does not have: {name}.")


def gguf_name(name: str, architecture: str) -> str:
    """The inverse of `tensor_name`."""
    stem = name.removesuffix(".weight")
    for theirs, ours in OUTER.items():
        if stem == ours:
            return f"{theirs}.weight"
    parts = stem.split(".", 3)
    for theirs, ours in INNER[architecture].items():
        if parts[:2] == ["model", "layers"] and parts[3:] == [ours]:
            return f"blk.{parts[2]}.{theirs}.weight"
    raise ModelError(f"llama.cpp's {architecture} has no place for {name}.", "Export it as merged instead.")


def architecture(model_type: str) -> str:
    """llama.cpp's name of a model type of transformers'; raises `ModelError` for one that is not written yet."""
    if model_type not in MODEL_TYPES:
        raise ModelError(
            f"A '{model_type}' model cannot be written as GGUF yet.", "Gemma 1, 2 and 3 can; export this one as merged."
        )
    return MODEL_TYPES[model_type]


def adds_one(name: str) -> bool:
    """Whether llama.cpp stores 1 + weight of a tensor (its name there): the norms of Gemma 1 to 3."""
    return name.endswith("norm.weight")


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
        "query_pre_attn_scalar": _query_scale("gemma2", common),
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
        "query_pre_attn_scalar": _query_scale("gemma3", common),
    }
    if value("rope.scaling.type") == "linear":  # 4B and larger
        found["rope_scaling"] = {"rope_type": "linear", "factor": value("rope.scaling.factor", 8.0)}
    return found


def _query_scale(architecture: str, common: dict[str, Any]) -> int:
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


def metadata(architecture: str, config: dict[str, Any]) -> dict[str, Any]:
    """What llama.cpp must know of a text model's config.json, by its keys without the architecture's name in front."""
    heads = config["num_attention_heads"]
    size = config.get("head_dim") or config["hidden_size"] // heads
    found = {
        "context_length": config.get("max_position_embeddings", 8192),
        "embedding_length": config["hidden_size"],
        "block_count": config["num_hidden_layers"],
        "feed_forward_length": config["intermediate_size"],
        "attention.head_count": heads,
        "attention.head_count_kv": config.get("num_key_value_heads", heads),
        "attention.layer_norm_rms_epsilon": float(config.get("rms_norm_eps", 1e-6)),
        "attention.key_length": size,
        "attention.value_length": size,
        "rope.freq_base": _rope(config, "full_attention", "rope_theta", 1e6 if architecture == "gemma3" else 1e4),
    }
    if architecture == "gemma":
        return found
    found["attention.sliding_window"] = config.get("sliding_window") or 4096
    if architecture == "gemma2":
        for key in ("attn_logit_softcapping", "final_logit_softcapping"):
            found[key] = float(config.get(key) or {"a": 50.0, "f": 30.0}[key[0]])
        return found
    found["rope.freq_base_swa"] = _rope(config, "sliding_attention", "rope_local_base_freq", 1e4)
    scaling = config.get("rope_scaling") or (config.get("rope_parameters") or {}).get("full_attention") or {}
    if scaling.get("rope_type", scaling.get("type")) == "linear":
        found |= {"rope.scaling.type": "linear", "rope.scaling.factor": float(scaling["factor"])}
    return found


def _rope(config: dict[str, Any], kind: str, key: str, default: float) -> float:
    """A base of rotary positions, as transformers 4 or 5 writes it."""
    own = config.get("rope_parameters") or {}
    nested = own.get(kind, own) if isinstance(own, dict) else {}
    return float(nested.get("rope_theta", config.get(key, default)))
