"""Tiny random Gemmas as GGUF files, written with the gguf package's own names and quantizers, not with ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np

from tests.conftest import LETTERS, SPECIAL, WORDS

Tensors = dict[str, np.ndarray[Any, Any]]

ARCHITECTURES = {
    "gemma": gguf.MODEL_ARCH.GEMMA,
    "gemma2": gguf.MODEL_ARCH.GEMMA2,
    "gemma3": gguf.MODEL_ARCH.GEMMA3,
}
PIECES = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *LETTERS, *WORDS]
LAYERS, WIDTH, INNER, HEADS, KEYS, HEAD = 7, 64, 128, 2, 1, 256  # 7 layers: at least one is global in Gemma 3
TEMPLATE = "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message.content }}<end_of_turn>{% endfor %}"


def tensors(architecture: str) -> Tensors:
    """Random weights by transformers' names."""
    random = np.random.default_rng(3)
    norms = ["input_layernorm", "post_attention_layernorm"]
    if architecture != "gemma":
        norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens": (len(PIECES), WIDTH), "model.norm": (WIDTH,)}
    for layer in range(LAYERS):
        here = f"model.layers.{layer}"
        shapes |= {f"{here}.{norm}": (WIDTH,) for norm in norms}
        shapes |= {f"{here}.self_attn.q_proj": (HEADS * HEAD, WIDTH), f"{here}.self_attn.o_proj": (WIDTH, HEADS * HEAD)}
        shapes |= {f"{here}.self_attn.{name}_proj": (KEYS * HEAD, WIDTH) for name in "kv"}
        shapes |= {f"{here}.mlp.{name}_proj": (INNER, WIDTH) for name in ("gate", "up")}
        shapes |= {f"{here}.mlp.down_proj": (WIDTH, INNER)}
        if architecture == "gemma3":
            shapes |= {f"{here}.self_attn.{name}_norm": (HEAD,) for name in "qk"}
    return {
        f"{name}.weight": (0.3 * random.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()
    }


def write(path: Path, architecture: str, kind: gguf.GGMLQuantizationType, towers: bool = False, **more: Any) -> Tensors:
    """Write a GGUF file; the weights that a reader must find in it, by transformers' names.

    `more` sets metadata: name=value, with __ for a dot, None for what is not there. With `towers` it is as Ollama's own
    files of multimodal models are, which say nothing of positions.
    """
    writer = gguf.GGUFWriter(path, architecture)
    _metadata(writer, architecture, [*PIECES, "<image>"] if towers else PIECES)
    if towers:
        more["gemma3__rope__freq_base"] = None
        for name in ("v.blk.0.attn_q.weight", "mm.input_projection.weight"):
            writer.add_tensor(name, np.ones((4, 4), np.float32))
    for key, value in more.items():
        name = key.replace("__", ".")
        writer.kv_data[0].pop(name, None)
        if value is not None:
            writer.add_key_value(name, value, gguf.GGUFValueType.get_type(value))
    names = gguf.get_tensor_name_map(ARCHITECTURES[architecture], LAYERS)
    expected: Tensors = {}
    for name, values in tensors(architecture).items():
        theirs = names.get_name(name, try_suffixes=(".weight",))
        if values.ndim == 1:
            writer.add_tensor(theirs, values + np.float32(1))
            expected[name] = (values + np.float32(1)) - np.float32(1)
            continue
        packed = gguf.quants.quantize(values, kind)
        writer.add_tensor(theirs, packed, raw_dtype=kind)
        expected[name] = gguf.quants.dequantize(packed, kind).astype(np.float32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return expected


def _metadata(writer: gguf.GGUFWriter, architecture: str, pieces: list[str]) -> None:
    writer.add_name("tiny")
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEYS)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_layer_norm_rms_eps(1e-6)
    if architecture != "gemma":
        writer.add_sliding_window(8)
    if architecture == "gemma2":
        writer.add_attn_logit_softcapping(50.0)
        writer.add_final_logit_softcapping(30.0)
    if architecture == "gemma3":
        writer.add_rope_freq_base(1_000_000.0)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(pieces)
    letters, words = len(LETTERS), len(pieces) - len(PIECES) + len(WORDS)
    writer.add_token_scores([0.0] * (len(SPECIAL) + 256) + [-1000.0] * letters + [-float(n) for n in range(words)])
    writer.add_token_types([3, 3, 3, 2, 4, 4] + [6] * 256 + [1] * (letters + words))
    for role, number in (("pad", 0), ("eos", 1), ("bos", 2), ("unk", 3)):
        getattr(writer, f"add_{role}_token_id")(number)
    writer.add_chat_template(TEMPLATE)
