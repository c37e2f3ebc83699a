"""A Gemma as one GGUF file for llama.cpp, Ollama and LM Studio: the container by `gguf`, the packing by `libgguf`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import gguf
import libgguf
import numpy as np
from gguf import GGMLQuantizationType as Kind
from numpy.typing import NDArray

from gemmalocal.export import gguf_types, spm
from gemmalocal.export.gguf_metadata import metadata, rope_divisors
from gemmalocal.export.merge import plain_name
from gemmalocal.planning.model_sizes import FULL
from gemmalocal.planning.published import licence
from gemmalocal.weights import gguf_names
from gemmalocal.weights.gguf_arrays import QuickWriter
from gemmalocal.weights.gguf_names import EMBEDDING, OUTPUT, ROPE
from gemmalocal.weights.tensors import Floats, Tensor

TellBytes = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """What goes into a file: the text model's configuration, and by llama.cpp's names the tensors and their types."""

    form: str
    architecture: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    kinds: dict[str, Kind]

    @property
    def size(self) -> int:
        """Bytes of the tensors."""
        return sum(_bytes(tensor, self.kinds[name]) for name, tensor in self.tensors.items())

    @property
    def fallbacks(self) -> Counter[tuple[Kind, Kind]]:
        """How many tensors are of another type than the form's, and of which, since their width does not fit it."""
        tied, layers = OUTPUT not in self.tensors, self.config["num_hidden_layers"]
        preferred = {
            name: gguf_types.preferred_type(self.form, name, tensor.shape, layers, tied)
            for name, tensor in self.tensors.items()
        }
        return Counter((preferred[name], kind) for name, kind in self.kinds.items() if kind != preferred[name])


def plan(base: Path, tensors: Sequence[Tensor], form: str) -> Plan:
    """`tensors` of the model in folder `base` in a `form` of FORMS; raises `ModelError` for other models.

    What is no part of the text model (a vision tower) is left out.
    """
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    text = {**config, **config.get("text_config", {})}
    architecture = gguf_names.architecture(str(text["model_type"]))
    named = [(name, tensor) for tensor in tensors if (name := plain_name(tensor.name))]
    by_name = {gguf_names.gguf_name(name, architecture): tensor for name, tensor in named}
    if architecture == "gemma4":
        by_name[ROPE] = _rope_divisors(text, by_name)
    layers, tied = text["num_hidden_layers"], OUTPUT not in by_name
    kinds = {name: gguf_types.tensor_type(form, name, tensor.shape, layers, tied) for name, tensor in by_name.items()}
    return Plan(form, architecture, text, by_name, kinds)


def write(path: Path, base: Path, plan: Plan, title: str, progress: TellBytes, template: str | None = None) -> None:
    """Write what was planned, with the tokenizer of `base`, and a chat `template` in place of its own."""
    writer = QuickWriter(path, plan.architecture)
    shapes = {name: tensor.shape for name, tensor in plan.tensors.items()}
    _describe(writer, metadata(plan.architecture, plan.config, shapes), plan.form, title)
    writer.add_license(licence(str(plan.config["model_type"]), str(base)).key)
    spm.describe(writer, base, plan.architecture, shapes[EMBEDDING][0], template)
    for name, tensor in plan.tensors.items():
        kind = plan.kinds[name]
        writer.add_tensor_info(name, tensor.shape, np.dtype(np.float32), _bytes(tensor, kind), kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for done, (name, tensor) in enumerate(plan.tensors.items()):
        progress(done, len(plan.tensors))
        values = tensor.read()
        if gguf_names.adds_one(name, plan.architecture):
            values = values + np.float32(1)
        writer.write_tensor_data(pack(values, plan.kinds[name]))
    progress(len(plan.tensors), len(plan.tensors))
    writer.close()


def _bytes(tensor: Tensor, kind: Kind) -> int:
    # Blocks of a quantized type lie within a row of the last dimension, never across two.
    size: int = prod(tensor.shape[:-1]) * libgguf.row_size(kind, tensor.shape[-1])
    return size


def _rope_divisors(text: dict[str, Any], by_name: dict[str, Tensor]) -> Tensor:
    full = [layer for layer, kind in enumerate(text["layer_types"]) if kind == FULL]
    values = rope_divisors(text, by_name[f"blk.{full[0] if full else 0}.attn_q_norm.weight"].shape[0])
    return Tensor(ROPE, values.shape, lambda: values)


def pack(values: Floats, kind: Kind) -> NDArray[Any]:
    """float32 (..., width) to the bytes of a type, each row by itself, as llama.cpp's own quantizer packs it."""
    packed: NDArray[Any] = libgguf.quantize_rows(values, kind)
    return packed


def _describe(writer: gguf.GGUFWriter, metadata: dict[str, Any], form: str, title: str) -> None:
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(title)
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
