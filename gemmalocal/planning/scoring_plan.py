"""What a teacher's reading will take before it begins: memory, disk, and time by what this machine has read before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gemmalocal.files import paths, safe_read
from gemmalocal.files.sizes import gigabytes, size
from gemmalocal.jobs.plurals import counted
from gemmalocal.planning import memory
from gemmalocal.planning.memory import EngineProfile, Load
from gemmalocal.planning.model_sizes import Sizes
from gemmalocal.planning.throughput import duration
from gemmalocal.recipe.schema import Recipe

BATCH = 2048  # tokens that a teacher reads at once
HEAD_ROWS, HEAD_COPIES = 64, 4  # tokens whose logits are there at once, and how often


@dataclass(frozen=True)
class ScoringPlan:
    """`tokens` to read and `supervised` ones to keep something of, of `rows` that are not known yet; bytes, seconds.

    `usable` is memory that a run may take; `seconds` None where this machine has let no teacher read.
    """

    rows: int
    tokens: int
    supervised: int
    disk: int
    free: int
    memory: int
    usable: int
    seconds: float | None

    @property
    def fits(self) -> bool:
        """Whether memory and disk are enough."""
        return self.memory <= self.usable and self.disk < self.free

    def sentence(self, teacher: str) -> str:
        """What to expect, for a person."""
        time = f"about {duration(self.seconds)}" if self.seconds is not None else "no estimate yet how long"
        text = (
            f"{teacher} reads {counted(self.rows, 'row')} of {counted(self.tokens, 'token')} once: {time}, "
            f"{gigabytes(self.memory)} GB of "
            f"memory, {size(self.disk)} on the disk"
        )
        if self.memory > self.usable:
            text += ": it may not fit; set teacher.quantize to 4bit, or take a smaller teacher"
        return text


def peak(sizes: Sizes, recipe: Recipe, width: int, stream: int, bits: float | None, engine: EngineProfile) -> int:
    """Bytes that a teacher of these sizes takes at most while it reads."""
    frozen = recipe.model_copy(update={"quantize": "none", "method": "lora"})
    # Checkpointing is as without a gradient: of each layer its input alone is there, which is still too much.
    read = memory.estimate(sizes, frozen, Load(BATCH, BATCH), width, True, bits, engine, stream)
    return read.weights + read.activations + HEAD_ROWS * HEAD_COPIES * 4 * sizes.vocabulary


def operations(sizes: Sizes, tokens: int, supervised: int) -> float:
    """Of reading: a product and a sum for each weight that a token meets."""
    experts = 3 * sizes.layers * sizes.width * sizes.routed
    return 2.0 * ((sizes.body + experts) * tokens + sizes.embedding * supervised)


def seconds(engine: str, work: float) -> float | None:
    """How long so many operations take by the pace of the newest reading on an engine; None without one."""
    paces = [
        (about["at"], about["seconds"] / about["operations"])
        for about in _described()
        if about.get("engine") == engine and about.get("operations")
    ]
    return work * max(paces)[1] if paces else None


def _described() -> Iterator[dict[str, Any]]:
    for folder in safe_read.entries(paths.teachers()):
        try:
            about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(about, dict) and all(isinstance(about.get(key), int | float) for key in ("at", "seconds")):
            yield about
