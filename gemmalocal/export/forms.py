"""The forms that a run can be taken away in, written into an empty folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gemmalocal.backends import full_model
from gemmalocal.export import gguf_write
from gemmalocal.records import Tell
from gemmalocal.weights import tensors
from gemmalocal.weights.tensors import Tensor
from gemmalocal.workspace import exports
from gemmalocal.workspace.exports import ExportForm

DTYPES = {"bfloat16": "BF16", "float32": "F32", "float16": "F16"}
SHARD = 4_000_000_000  # bytes of one file
DROPPED = ("provenance.json", "README.md")  # of the base: the export has its own


def needed(form: ExportForm, model_tensors: Sequence[Tensor], adapter: Path | None) -> int:
    """Bytes of disk that making a form takes: a quantized one is made of one in float32 beside it."""
    embedding = sum(tensor.size for tensor in model_tensors if "embed_tokens" in tensor.name)
    contents = exports.Contents(
        sum(tensor.size for tensor in model_tensors), embedding, exports.folder_bytes(adapter) if adapter else 0
    )
    aside = exports.size(ExportForm("merged", "float32"), contents) if form.bits else 0
    return int(1.1 * exports.size(form, contents)) + aside


def write_merged(folder: Path, base: Path, model_tensors: Sequence[Tensor], dtype: str, tell: Tell) -> None:
    """A model's folder as transformers and mlx-lm read it."""
    full_model.beside(base, folder, DROPPED)
    path = folder / "config.json"
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for key in ("quantization", "quantization_config", "torch_dtype"):
        config.pop(key, None)
    config["dtype"] = dtype
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
    tensors.write(folder, model_tensors, DTYPES[dtype], lambda done, total: tell("merging", done, total), SHARD)


def write_gguf(
    folder: Path, base: Path, plan: gguf_write.Plan, title: str, tell: Tell, template: str | None = None
) -> Path:
    """Write one GGUF file, the licence's notice beside it, and return the file's path."""
    path = folder / f"{title}-{plan.form}.gguf"
    gguf_write.write(path, base, plan, title, lambda done, total: tell("packing", done, total), template)
    for name in ("NOTICE", "LICENSE"):
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
    return path
