"""A base model with an adapter folded in, tensor by tensor, in float32: W + alpha / rank * B A, or DoRA's of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gemmalocal.backends import peft_adapter
from gemmalocal.errors import ModelError
from gemmalocal.jobs.plurals import counted
from gemmalocal.weights.tensors import Floats, Stored, Tensor, stored

# Where a text model's parts may be: plain, inside a multimodal wrapper of transformers 4, and of 5.
TEXT = re.compile(
    r"^(?:model\.language_model\.|language_model\.model\.|model\.)((?:layers\.|embed_tokens|per_layer_|norm\b).*)$"
)
HEAD = re.compile(r"^(?:language_model\.)?(lm_head.*)$")
QUANTIZED = ("scales", "biases")
OTHER_BASE = "Export it over the model that it was trained on."


@dataclass(frozen=True)
class Adapted:
    """What an adapter adds to a weight (out, in): `a` (rank, in), `b` (out, rank), DoRA's `magnitude` (out,)."""

    a: Floats
    b: Floats
    scale: float
    magnitude: Floats | None = None

    def onto(self, weight: Floats) -> Floats:
        """The merged float32 weight (out, in): W + scale * B A (LoRA, arXiv:2106.09685); with a magnitude, DoRA's."""
        updated: Floats = weight + np.float32(self.scale) * (self.b @ self.a)
        if self.magnitude is None:
            return updated
        # DoRA (arXiv:2402.09353): each output row is rescaled to its trained length; norms are (out,).
        directed: Floats = (updated * (self.magnitude / np.linalg.norm(updated, axis=1))[:, None]).astype(np.float32)
        return directed


def merged(base: Path, adapter: Path | None) -> list[Tensor]:
    """All tensors of the folder `base` with `adapter` folded in; raises `ModelError` if they do not belong together.

    Weights in MLX's quantized groups are dequantized.
    """
    stored_tensors, config = stored(base), _config(base)
    changes = read_adapter(adapter) if adapter else {}
    bits = config.get("quantization") or {}
    tensors: list[Tensor] = []
    for name, tensor in stored_tensors.items():
        stem, _, suffix = name.rpartition(".")
        if suffix in QUANTIZED and f"{stem}.weight" in stored_tensors:
            continue
        shape, read = tensor.raw.shape, tensor.floats
        if suffix == "weight" and f"{stem}.scales" in stored_tensors:
            shape, read = _dequantized(stored_tensors, stem, bits)
        if suffix == "weight" and (change := changes.pop(plain_name(stem) or stem, None)):
            if shape != (change.b.shape[0], change.a.shape[1]):
                raise ModelError(f"The adapter does not fit {name}: it was trained on another model.", OTHER_BASE)
            read = partial(_folded, read, change)
        tensors.append(Tensor(name, tuple(shape), read))
    if changes:
        raise ModelError(
            f"The adapter changes {counted(len(changes), 'weight')} that {base.name} does not have, such "
            f"as {min(changes)}.",
            OTHER_BASE,
        )
    return tensors


def read_adapter(folder: Path) -> dict[str, Adapted]:
    """An adapter in PEFT's layout, by the `plain_name` of each weight that it changes."""
    stored_tensors = stored(folder)
    try:
        config = json.loads((folder / peft_adapter.CONFIG).read_text(encoding="utf-8"))
        scale = peft_adapter.scale(config, config["r"])
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError) as error:
        raise ModelError(f"{folder / peft_adapter.CONFIG} cannot be read: {error}", "Train the run again.") from error
    updates = {}
    for name in stored_tensors:
        if not name.endswith(".lora_A.weight"):
            continue
        module = name.removesuffix(".lora_A.weight")
        weight_name = plain_name(module.removeprefix(peft_adapter.PREFIX))
        if weight_name is None:
            problem = f"The adapter changes {module}, which is not part of a text model."
            raise ModelError(problem, "Train one of the text model's projections alone.")
        magnitude = stored_tensors.get(f"{module}.lora_magnitude_vector")
        updates[weight_name] = Adapted(
            stored_tensors[name].floats(),
            _paired(stored_tensors, f"{module}.lora_B.weight", folder),
            scale,
            magnitude.floats() if magnitude else None,
        )
    return updates


def _paired(stored_tensors: dict[str, Stored], name: str, folder: Path) -> Floats:
    if name not in stored_tensors:
        raise ModelError(f"The adapter in {folder} lacks {name}.", "Train the run again.")
    return stored_tensors[name].floats()


def plain_name(name: str) -> str | None:
    """A tensor or module of the text model by its name in a plain one, `model.layers.0...`; None for other parts."""
    if match := TEXT.match(name):
        return f"model.{match.group(1)}"
    return match.group(1) if (match := HEAD.match(name)) else None


def _folded(read: Callable[[], Floats], change: Adapted) -> Floats:
    return change.onto(read())


def _config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


def _dequantized(
    stored_tensors: dict[str, Stored], stem: str, quantization: dict[str, Any]
) -> tuple[tuple[int, ...], Callable[[], Floats]]:
    """Shape and reader of a weight in MLX's affine groups: packed in uint32, least significant bits first."""
    settings = quantization.get(stem)
    bits, group = (settings or quantization)["bits"], (settings or quantization)["group_size"]
    if 32 % bits:
        raise ModelError(f"A model quantized to {bits} bits cannot be merged.", "Take its 4-bit, 8-bit or 16-bit form.")
    raw = stored_tensors[f"{stem}.weight"].raw
    scales, biases = (stored_tensors[f"{stem}.{part}"] for part in QUANTIZED)
    shape = (*raw.shape[:-1], raw.shape[-1] * 32 // bits)

    def read() -> Floats:
        # (out, packed) uint32 -> (out, packed, 32 / bits) -> (out, groups, group): a scale and a bias by group.
        shifts = np.arange(0, 32, bits, dtype=np.uint32)
        numbers = ((raw[..., None] >> shifts) & np.uint32((1 << bits) - 1)).reshape(*shape[:-1], -1, group)
        values = numbers.astype(np.float32) * scales.floats()[..., None] + biases.floats()[..., None]
        return values.reshape(shape)

    return shape, read
