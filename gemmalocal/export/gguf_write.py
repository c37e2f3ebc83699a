"""A Gemma as one GGUF file for llama.cpp, Ollama and LM Studio: the container by `gguf`, the packing by `libgguf`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import gguf
import libgguf
import numpy as np
from gguf import GGMLQuantizationType as Kind
from numpy.typing import NDArray

from gemmalocal.export import gguf_types, spm
from gemmalocal.export.merge import place
from gemmalocal.weights import gguf_gemma
from gemmalocal.weights.tensors import Floats, Tensor

Progress = Callable[[int, int], None]


def write(path: Path, base: Path, tensors: Sequence[Tensor], form: str, title: str, progress: Progress) -> None:
    """Write `tensors` of the model in folder `base` in a `form` of FORMS; raises `ModelError` for other models.

    What is no part of the text model (a vision tower) is left out.
    """
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    text = {**config, **config.get("text_config", {})}
    architecture = gguf_gemma.architecture(str(text["model_type"]))
    named = [(name, tensor) for tensor in tensors if (name := place(tensor.name))]
    kept = {gguf_gemma.gguf_name(name, architecture): tensor for name, tensor in named}
    layers, tied = text["num_hidden_layers"], gguf_gemma.OUTPUT not in kept
    kinds = {name: gguf_types.kind(form, name, tensor.shape, layers, tied) for name, tensor in kept.items()}
    writer = gguf.GGUFWriter(path, architecture)
    _describe(writer, gguf_gemma.metadata(architecture, text), form, title)
    spm.describe(writer, base)
    for name, tensor in kept.items():
        size = prod(tensor.shape[:-1]) * libgguf.row_size(kinds[name], tensor.shape[-1])
        writer.add_tensor_info(name, tensor.shape, np.dtype(np.float32), size, kinds[name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for done, (name, tensor) in enumerate(kept.items()):
        progress(done, len(kept))
        values = tensor.read()
        writer.write_tensor_data(pack(values + np.float32(1) if gguf_gemma.adds_one(name) else values, kinds[name]))
    progress(len(kept), len(kept))
    writer.close()


def pack(values: Floats, kind: Kind) -> NDArray[Any]:
    """float32 to the bytes of a type, row by row, as llama.cpp's own quantizer does."""
    found: NDArray[Any] = libgguf.quantize_rows(values, kind)
    return found


def _describe(writer: gguf.GGUFWriter, metadata: dict[str, Any], form: str, title: str) -> None:
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(title)
    writer.add_license("gemma")
    writer.add_file_type(int(gguf_types.FORMS[form][1]))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for key, value in metadata.items():
        name = f"{writer.arch}.{key}"
        if isinstance(value, str):
            writer.add_string(name, value)
        elif isinstance(value, float):
            writer.add_float32(name, value)
        elif isinstance(value, list):
            writer.add_array(name, value)
        else:
            writer.add_uint32(name, value)
