"""Where an adapter starts: the same numbers in every engine, so that their losses can be compared step by step."""

from __future__ import annotations

import math
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from gemmalocal.recipe.schema import LoraSpec, Recipe


def adapted_layers(spec: LoraSpec, count: int) -> list[int]:
    """Which of a model's `count` layers get an adapter: the last ones that `spec.layers` asks for, or all."""
    adapted = count if spec.layers == "all" else min(spec.layers, count)
    return list(range(count - adapted, count))


def same_places(first: Recipe, second: Recipe) -> bool:
    """Whether two recipes' adapters lie at the same places of a model, of whatever rank and scale they are."""
    if "full" in (first.method, second.method) or first.method != second.method:
        return False
    places = [
        (recipe.lora.target_modules, recipe.lora.layers, recipe.lora.dropout > 0, recipe.train.checkpointing is True)
        for recipe in (first, second)
    ]
    return places[0] == places[1]


def lora_a(name: str, rank: int, columns: int, seed: int) -> NDArray[np.float32]:
    """(rank, columns) for the module `name`: kaiming uniform with a = sqrt(5), as PEFT and torch start."""
    bound = 1 / math.sqrt(columns)
    random = np.random.default_rng([seed, crc32(name.encode())])
    return random.uniform(-bound, bound, (rank, columns)).astype(np.float32)
