"""What llama.cpp calls the tensors of a Gemma, and transformers.

Covered: the text models of Gemma 1, 2, 3 and 4 (`gemma`, `gemma2`, `gemma3`, `gemma4`). Source: llama.cpp's
convert_hf_to_gguf.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gemmalocal.errors import ModelError

EMBEDDING, OUTPUT, ROPE = "token_embd.weight", "output.weight", "rope_freqs.weight"
TOWERS = {"v.": "vision tower", "a.": "audio tower", "mm.": "projector"}  # in Ollama's files beside the text model
MODEL_TYPES = {
    "gemma": "gemma", "gemma2": "gemma2", "gemma3_text": "gemma3", "gemma3": "gemma3",
    "gemma4_text": "gemma4", "gemma4": "gemma4", "gemma4_unified": "gemma4", "gemma4_unified_text": "gemma4",
}  # fmt: skip


def _weights(stems: Mapping[str, str]) -> dict[str, str]:
    return {f"{gguf_stem}.weight": f"{plain_stem}.weight" for gguf_stem, plain_stem in stems.items()}


OUTER = _weights({"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"})
OUTER_4 = _weights(
    {
        "per_layer_token_embd": "model.embed_tokens_per_layer",
        "per_layer_model_proj": "model.per_layer_model_projection",
        "per_layer_proj_norm": "model.per_layer_projection_norm",
    }
)
COMMON = _weights(
    {
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "attn_norm": "input_layernorm",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
)
FOUR_NORMS = _weights(
    {
        "post_attention_norm": "post_attention_layernorm",
        "ffn_norm": "pre_feedforward_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
    }
)
QUERY_NORMS = _weights({"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"})
INNER_4 = _weights(
    {
        "inp_gate": "per_layer_input_gate",
        "proj": "per_layer_projection",
        "post_norm": "post_per_layer_input_norm",
        "ffn_gate_inp": "router.proj",
        "pre_ffw_norm_2": "pre_feedforward_layernorm_2",
        "post_ffw_norm_1": "post_feedforward_layernorm_1",
        "post_ffw_norm_2": "post_feedforward_layernorm_2",
    }
) | {
    "layer_output_scale.weight": "layer_scalar",
    "ffn_gate_inp.scale": "router.scale",
    "ffn_gate_up_exps.weight": "experts.gate_up_proj",
    "ffn_down_exps.weight": "experts.down_proj",
    "ffn_down_exps.scale": "router.per_expert_scale",
}
LEAST_4 = ("attn_norm.weight", "attn_q.weight", "attn_output.weight", "ffn_down.weight")  # all layers of a Gemma 4
NAMES = {  # outside of the layers, and within one
    "gemma": (OUTER, COMMON | _weights({"ffn_norm": "post_attention_layernorm"})),
    "gemma2": (OUTER, COMMON | FOUR_NORMS),
    "gemma3": (OUTER, COMMON | FOUR_NORMS | QUERY_NORMS),
    "gemma4": (OUTER | OUTER_4, COMMON | FOUR_NORMS | QUERY_NORMS | INNER_4),
}


def architecture(model_type: str) -> str:
    """llama.cpp's name of a model type of transformers'; raises `ModelError` for one that is not written yet."""
    if model_type not in MODEL_TYPES:
        raise ModelError(
            f"A '{model_type}' model cannot be written as GGUF yet.", "Gemma 1 to 4 can; export this one as merged."
        )
    return MODEL_TYPES[model_type]


def tower(name: str) -> str | None:
    """The part (`vision tower`) that a tensor of llama.cpp's name belongs to; None for the text model's."""
    return next((part for prefix, part in TOWERS.items() if name.startswith(prefix)), None)


def missing(names: Collection[str], architecture: str, layers: int) -> str | None:
    """A tensor that a model of so many layers must have and that is not among `names`; None if there is none."""
    inner = LEAST_4 if architecture == "gemma4" else NAMES[architecture][1]
    needed = (f"blk.{layer}.{part}" for layer in range(layers) for part in inner)
    return next((name for name in ("output_norm.weight", *needed) if name not in names), None)


def tensor_name(name: str, architecture: str) -> str:
    """llama.cpp's name of a tensor to transformers'; raises `ModelError` for one that this model does not have."""
    outer, inner = NAMES[architecture]
    parts = name.split(".", 2)
    if name in outer:
        return outer[name]
    if len(parts) == 3 and parts[0] == "blk" and parts[1].isdigit() and parts[2] in inner:
        return f"model.layers.{parts[1]}.{inner[parts[2]]}"
    raise ModelError(
        f"The GGUF file holds a tensor that a {architecture} text model does not have: {name}.",
        "Take another GGUF of the same model.",
    )


def gguf_name(name: str, architecture: str) -> str:
    """transformers' name of a tensor to llama.cpp's, the inverse of `tensor_name`; raises `ModelError` for others."""
    outer, inner = ({plain_part: gguf_part for gguf_part, plain_part in names.items()} for names in NAMES[architecture])
    parts = name.split(".", 3)
    if name in outer:
        return outer[name]
    if parts[:2] == ["model", "layers"] and parts[3] in inner:
        return f"blk.{parts[2]}.{inner[parts[3]]}"
    raise ModelError(f"llama.cpp's {architecture} has no place for {name}.", "Export it as merged instead.")


def adds_one(name: str, architecture: str) -> bool:
    """Whether llama.cpp stores 1 + weight of a tensor (its name there): the norms of Gemma 1 to 3."""
    return name.endswith("norm.weight") and architecture != "gemma4"
