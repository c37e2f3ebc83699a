"""A Gemma GGUF file to a trainable folder: config.json, model.safetensors (float32), tokenizer.json.

The quantization is undone once (`gguf`'s own arithmetic); what it lost stays lost. Covered: `gemma3` text models.
Not covered yet: the other generations, and files split in parts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import save_file

from gemmalocal import atomic
from gemmalocal.errors import ModelError
from gemmalocal.weights import vocabulary

Progress = Callable[[str, int, int], None]  # what, done, total

OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
INNER = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_norm": "input_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def checksum(path: Path, progress: Progress) -> str:
    """The sha256 of a file, read once, 4 MiB at a time."""
    digest, size, done = hashlib.sha256(), path.stat().st_size, 0
    with path.open("rb") as file:
        while block := file.read(4 << 20):
            digest.update(block)
            done += len(block)
            progress("checking the file", done, size)
    return digest.hexdigest()


def to_folder(source: Path, target: Path, progress: Progress, provenance: dict[str, str]) -> Path:
    """Dequantize `source` into the folder `target` and return it; written aside, so it is whole or not there.

    Raises `ModelError` for a file that is no GGUF, or a model that is no Gemma 3.
    """
    try:
        progress("reading the file", 0, 1)
        reader = gguf.GGUFReader(source)
    except (ValueError, OSError) as error:
        raise ModelError(f"{source} cannot be read as GGUF: {error}", "Download the file again.") from error
    architecture = _value(reader, "general.architecture")
    if architecture != "gemma3":
        raise ModelError(f"{source.name} holds a '{architecture}' model; only 'gemma3' GGUF files can be tuned so far.")
    with atomic.new_folder(target) as folder:
        _write_tokenizer(reader, folder, progress)
        save_file(_weights(reader, progress), folder / "model.safetensors", metadata={"format": "pt"})
        config = _config(reader)
        (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
        generation = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
        (folder / "generation_config.json").write_text(json.dumps(generation, indent=2), encoding="utf-8")
        (folder / "provenance.json").write_text(json.dumps(provenance, indent=2), encoding="utf-8")
    return target


def _value(reader: gguf.GGUFReader, key: str, default: Any = None) -> Any:
    field = reader.get_field(key)
    return default if field is None else field.contents()


def tensor_name(name: str) -> str:
    """llama.cpp's name of a tensor to transformers'; raises `ModelError` for one that Gemma 3 does not have."""
    stem = name.removesuffix(".weight")
    if stem in OUTER:
        return f"{OUTER[stem]}.weight"
    parts = stem.split(".")
    if len(parts) == 3 and parts[0] == "blk" and parts[2] in INNER:
        return f"model.layers.{parts[1]}.{INNER[parts[2]]}.weight"
    raise ModelError(f"The GGUF file holds a tensor that a Gemma 3 text model does not have: {name}.")


def _weights(reader: gguf.GGUFReader, progress: Progress) -> dict[str, np.ndarray[Any, Any]]:
    weights: dict[str, np.ndarray[Any, Any]] = {}
    for done, tensor in enumerate(reader.tensors):
        progress("dequantizing", done, len(reader.tensors))
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        values = values.reshape([int(size) for size in reversed(tensor.shape)])
        # llama.cpp stores Gemma's norm weights with the 1 of `1 + weight` already added.
        weights[tensor_name(tensor.name)] = values - 1.0 if "norm" in tensor.name else values
    progress("dequantizing", len(reader.tensors), len(reader.tensors))
    return weights


def _config(reader: gguf.GGUFReader) -> dict[str, Any]:
    def gemma(key: str, default: Any = None) -> Any:
        return _value(reader, f"gemma3.{key}", default)

    heads, layers = gemma("attention.head_count"), gemma("block_count")
    head_dim = gemma("attention.key_length", 256)
    # Only the 27B model scales queries by its width per head (168) instead of the head's size.
    query_scale = gemma("embedding_length") // heads if layers == 62 else head_dim
    return {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "hidden_size": gemma("embedding_length"),
        "intermediate_size": gemma("feed_forward_length"),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": gemma("attention.head_count_kv"),
        "head_dim": head_dim,
        "query_pre_attn_scalar": query_scale,
        "rms_norm_eps": 1e-6,
        "rope_theta": gemma("rope.freq_base", 1_000_000.0),
        "rope_local_base_freq": 10_000.0,
        "sliding_window": gemma("attention.sliding_window"),
        "sliding_window_pattern": 6,
        "max_position_embeddings": gemma("context_length"),
        "hidden_activation": "gelu_pytorch_tanh",
        "vocab_size": len(reader.fields["tokenizer.ggml.tokens"].data),
        "tie_word_embeddings": reader.get_field("output.weight") is None,
        "bos_token_id": _value(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": _value(reader, "tokenizer.ggml.eos_token_id"),
        "pad_token_id": _value(reader, "tokenizer.ggml.padding_token_id"),
        "dtype": "float32",
    }


def _numbers(reader: gguf.GGUFReader, key: str) -> list[Any]:
    field = reader.fields[key]
    return [field.parts[index][0] for index in field.data]


def _write_tokenizer(reader: gguf.GGUFReader, folder: Path, progress: Progress) -> None:
    progress("rebuilding the tokenizer", 0, 1)
    tokens = reader.fields["tokenizer.ggml.tokens"]
    pieces = [bytes(tokens.parts[index]).decode("utf-8") for index in tokens.data]
    scores = [float(value) for value in _numbers(reader, "tokenizer.ggml.scores")]
    kinds = [int(value) for value in _numbers(reader, "tokenizer.ggml.token_type")]
    roles = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    names = {role: pieces[_value(reader, f"tokenizer.ggml.{key}_token_id")] for role, key in roles.items()}
    tokenizer = vocabulary.build(pieces, scores, kinds, names["bos_token"], names["unk_token"])
    vocabulary.write(tokenizer, folder, names, _value(reader, "tokenizer.chat_template"))
    progress("rebuilding the tokenizer", 1, 1)
