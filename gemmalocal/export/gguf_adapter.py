"""A LoRA alone as GGUF, for llama.cpp's `--lora` and a Modelfile's ADAPTER; and back into PEFT's layout.

Source: llama.cpp's convert_lora_to_gguf.py and llama-adapter.cpp. A is (rank, in) as NAME.lora_a, B (out, rank) as
NAME.lora_b, and B A is multiplied by alpha / rank. No row of a Gemma is moved: its positions turn as NeoX's do.
"""

from __future__ import annotations

import json
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import save_file

from gemmalocal.backends import peft_adapter
from gemmalocal.errors import ModelError
from gemmalocal.export import ollama, ollama_tools
from gemmalocal.export.merge import Adapted, read_adapter
from gemmalocal.export.source import FinishedRun
from gemmalocal.files import paths
from gemmalocal.planning.published import licence
from gemmalocal.records import Tell
from gemmalocal.weights import gguf_header, gguf_names, gguf_peek, gguf_place

A, B = ".lora_a", ".lora_b"  # after the name of the weight that they change
OTHERS = "Export it as gguf: there the tune is folded into the weights."
NO_ADAPTER = "Export it again."
TEMPERATURE = 0.7
FROM = re.compile(r"^FROM (.+)$", re.MULTILINE)


def deliver(
    finished: FinishedRun, adapter: Path, base_name: str | None, base_file: Path | None, folder: Path, tell: Tell
) -> None:
    """The file, a Modelfile over the base (Ollama's name of it, or its file), and the licence's notice.

    Without a known file the Modelfile names one beside it; where Ollama's language cannot say the chat template there
    is no Modelfile.
    """
    path = folder / f"{finished.run.name}-lora.gguf"
    write(path, adapter, _config(finished.base), finished.run.name, tell)
    for name in ("NOTICE", "LICENSE"):
        if (finished.base / name).is_file():
            shutil.copyfile(finished.base / name, folder / name)
    tokenizer, base = finished.tokenizer, str(base_file or f"./{finished.base.name}.gguf")
    if base_name and not paths.expanded(base_name).exists():
        base = base_name
    with suppress(ModelError):
        template, renderer = ollama_tools.written(tokenizer, finished.layout(tokenizer))
        parameters = {"temperature": TEMPERATURE}
        text = ollama.modelfile(base, template, tokenizer, finished.licence, parameters, f"./{path.name}", renderer)
        (folder / "Modelfile").write_text(text, encoding="utf-8")


def base_of(folder: Path) -> Path:
    """The file that the Modelfile of an export names as the base; raises `ModelError` if there is none."""
    with suppress(OSError):
        if match := FROM.search((folder / "Modelfile").read_text(encoding="utf-8")):
            beside = folder / match[1]
            return beside if beside.is_file() else gguf_place.named(match[1])
    raise ModelError("The export does not say which GGUF its adapter lies over.", "Export it again with --base FILE.")


def check(adapter: Path, base: Path) -> None:
    """Raise `ModelError` for an adapter that llama.cpp cannot hold: DoRA's, or one of parts that it does not know."""
    _named(read_adapter(adapter), _architecture(_config(base)))


def check_base(file: Path, base: Path) -> None:
    """Raise `ModelError` for a GGUF file that is damaged, or is of another kind of model than `base`."""
    gguf_header.check(file)
    architecture, wanted = gguf_peek.architecture(file), _architecture(_config(base))
    if architecture != wanted:
        problem = f"{file.name} holds a '{architecture}' model, and the run was trained on a {wanted}."
        raise ModelError(problem, "Name a GGUF of the base (--base).")


def write(path: Path, adapter: Path, model: dict[str, Any], title: str, tell: Tell) -> None:
    """The adapter in PEFT's layout in folder `adapter`, on a model with that config.json, as the file `path` (float32).

    Raises `ModelError` as `check` does.
    """
    architecture = _architecture(model)
    named = _named(read_adapter(adapter), architecture)
    alpha = _alpha(next(iter(named.values())))
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_name(title)
    writer.add_license(licence(architecture).key)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    for done, (name, change) in enumerate(named.items()):
        tell("packing", done, len(named))
        writer.add_tensor(name + A, np.ascontiguousarray(change.a))
        # One alpha holds for all: what a matrix of another rank would be scaled otherwise is in its numbers.
        writer.add_tensor(name + B, np.ascontiguousarray(change.b * np.float32(_alpha(change) / alpha)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tell("packing", len(named), len(named))


def to_peft(file: Path, base: str, target: Path) -> Path:
    """The adapter in a GGUF file, over the model named `base`, in PEFT's layout in the new folder `target`.

    Raises `ModelError` for a file that is damaged, or holds no LoRA.
    """
    gguf_header.check(file)
    reader = gguf.GGUFReader(file)
    architecture, alpha = _told(reader, "general.architecture", ""), _told(reader, gguf.Keys.Adapter.LORA_ALPHA, 0.0)
    if _told(reader, gguf.Keys.Adapter.TYPE, "") != "lora" or architecture not in gguf_names.NAMES or not alpha:
        raise ModelError(f"{file.name} holds no LoRA of a Gemma.", NO_ADAPTER)
    tensors = {}
    for tensor in reader.tensors:
        name, suffix = tensor.name[: -len(A)], tensor.name[-len(A) :]
        if suffix not in (A, B):
            raise ModelError(f"{file.name} holds {tensor.name}, which is not of a LoRA.", NO_ADAPTER)
        module = gguf_names.tensor_name(name, architecture).removesuffix(".weight")
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        tensors[peft_adapter.to_disk(f"{module}{suffix}")] = values.reshape([int(size) for size in tensor.shape[::-1]])
    ranks = {value.shape[0] for name, value in tensors.items() if name.endswith(".lora_A.weight")}
    if len(ranks) != 1:
        raise ModelError(f"{file.name} holds matrices of {len(ranks)} ranks.", NO_ADAPTER)
    modules = sorted({name.split(".lora_")[0].rpartition(".")[2] for name in tensors})
    layers = sorted({int(name.split(".layers.")[1].split(".")[0]) for name in tensors})
    config = peft_adapter.lora_config(base, ranks.pop(), float(alpha), 0.0, False)
    target.mkdir()
    save_file(tensors, target / peft_adapter.WEIGHTS)
    described = config | peft_adapter.where(modules, layers, False)
    (target / peft_adapter.CONFIG).write_text(json.dumps(described, indent=2), encoding="utf-8")
    return target


def _named(changes: dict[str, Adapted], architecture: str) -> dict[str, Adapted]:
    """What changes, by llama.cpp's names of the weights."""
    if any(change.magnitude is not None for change in changes.values()):
        raise ModelError("llama.cpp has no place for what DoRA learns beside its two matrices.", OTHERS)
    return {gguf_names.gguf_name(f"{name}.weight", architecture): change for name, change in changes.items()}


def _config(base: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((base / "config.json").read_text(encoding="utf-8"))
    return config


def _architecture(model: dict[str, Any]) -> str:
    return gguf_names.architecture(str({**model, **model.get("text_config", {})}["model_type"]))


def _alpha(change: Adapted) -> float:
    return change.scale * len(change.a)


def _told(reader: gguf.GGUFReader, key: str, default: Any) -> Any:
    field = reader.get_field(key)
    return default if field is None else field.contents()
