"""The forms that a run can be taken away in, written into an empty folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gemmalocal.backends import whole
from gemmalocal.errors import RecipeError
from gemmalocal.export import gguf_types, gguf_write
from gemmalocal.weights import tensors
from gemmalocal.weights.tensors import Tensor

Tell = Callable[[str, int, int], None]
Name = Literal["adapter", "mlx-adapter", "merged", "gguf", "ollama"]
DTYPES = {"bfloat16": "BF16", "float32": "F32", "float16": "F16"}
SHARD = 4_000_000_000  # bytes of one file
DROPPED = ("provenance.json", "README.md")  # of the base: the export has its own


@dataclass(frozen=True)
class Form:
    """A form with its details: `dtype` of merged, `bits` of it quantized for MLX, `type` of a GGUF."""

    name: Name
    dtype: str = "bfloat16"
    bits: int | None = None
    type: str = "Q8_0"

    @property
    def label(self) -> str:
        """The name of its folder."""
        details = {"merged": f"-{self.bits}bit" if self.bits else f"-{self.dtype}", "gguf": f"-{self.type}"}
        details["ollama"] = details["gguf"]
        return self.name + details.get(self.name, "")

    @property
    def of_weights(self) -> bool:
        """Whether the base's weights are in it, and not the adapter alone."""
        return not self.name.endswith("adapter")

    @property
    def of_gguf(self) -> bool:
        """Whether a GGUF file is in it."""
        return self.name in ("gguf", "ollama")


def size(form: Form, parts: Sequence[Tensor], adapter: Path | None) -> int:
    """Bytes that a form other than GGUF takes on disk, headers left out."""
    if not form.of_weights:
        return sum(path.stat().st_size for path in adapter.iterdir()) if adapter else 0
    count = sum(part.size for part in parts)
    # A quantized one is made of one in float32 beside it.
    return count * tensors.WIDTHS[DTYPES[form.dtype]] if not form.bits else int(count * (4 + form.bits / 8 + 0.5))


def write_merged(folder: Path, base: Path, parts: Sequence[Tensor], dtype: str, tell: Tell) -> None:
    """A model's folder as transformers and mlx-lm read it."""
    whole.beside(base, folder, DROPPED)
    path = folder / "config.json"
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for key in ("quantization", "quantization_config", "torch_dtype"):
        config.pop(key, None)
    config["dtype"] = dtype
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
    tensors.write(folder, parts, DTYPES[dtype], lambda done, total: tell("merging", done, total), SHARD)


def write_gguf(folder: Path, base: Path, plan: gguf_write.Plan, title: str, tell: Tell) -> Path:
    """One GGUF file, and the licence's notice beside it."""
    path = folder / f"{title}-{plan.form}.gguf"
    gguf_write.write(path, base, plan, title, lambda done, total: tell("packing", done, total))
    for name in ("NOTICE", "LICENSE"):
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
    return path


def checked(form: Form) -> Form:
    """The form; raises `RecipeError` for details that do not go together."""
    if form.type not in gguf_types.FORMS:
        raise RecipeError(f"There is no GGUF type '{form.type}'.", f"Take one of {', '.join(gguf_types.FORMS)}.")
    if form.bits and form.name != "merged":
        raise RecipeError(f"--quantize is for merged, not for {form.name}.", "A GGUF is quantized by its --type.")
    return form
