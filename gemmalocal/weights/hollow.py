"""A Gemma's folder with its shapes and no weights: all zeros, in a file that takes no space."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gemmalocal.weights import tensors

GEMMA3 = {
    "architectures": ["Gemma3ForCausalLM"],
    "model_type": "gemma3_text",
    "num_hidden_layers": 18,
    "hidden_size": 640,
    "intermediate_size": 2048,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 256,
    "vocab_size": 262_144,
    "query_pre_attn_scalar": 256,
    "sliding_window": 512,
    "sliding_window_pattern": 6,
    "rope_theta": 1_000_000.0,
    "rope_local_base_freq": 10_000.0,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
}  # of 270M parameters


def write(folder: Path, **sizes: Any) -> None:
    """Fill a folder with a Gemma 3 of these sizes (config.json's keys; else the 270M's) in bfloat16."""
    config = GEMMA3 | {"dtype": "bfloat16"} | sizes
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    tensors.write_hollow(folder / "model.safetensors", shapes(config), "BF16")


def shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Gemma 3's tensors by transformers' names, (outputs, inputs) of a projection, for a config.json."""
    width, inner, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    layer: dict[str, tuple[int, ...]] = {
        "self_attn.q_proj": (queries, width),
        "self_attn.k_proj": (keys, width),
        "self_attn.v_proj": (keys, width),
        "self_attn.o_proj": (width, queries),
        "self_attn.q_norm": (head,),
        "self_attn.k_norm": (head,),
        "input_layernorm": (width,),
        "post_attention_layernorm": (width,),
        "pre_feedforward_layernorm": (width,),
        "post_feedforward_layernorm": (width,),
        "mlp.gate_proj": (inner, width),
        "mlp.up_proj": (inner, width),
        "mlp.down_proj": (width, inner),
    }
    by_name = {"embed_tokens": (config["vocab_size"], width), "norm": (width,)}
    for index in range(config["num_hidden_layers"]):
        by_name |= {f"layers.{index}.{name}": shape for name, shape in layer.items()}
    return {f"model.{name}.weight": shape for name, shape in by_name.items()}
