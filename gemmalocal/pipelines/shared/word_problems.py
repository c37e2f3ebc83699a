"""The recipe and the made-up rows that trainers are measured with."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Literal

from gemmalocal.recipe.data_spec import DataSpec
from gemmalocal.recipe.schema import LoraSpec, Recipe, TrainSpec
from gemmalocal.records import Message, Record


def bench_recipe(
    folder: Path,
    steps: int,
    batch_size: int,
    max_length: int,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
) -> Recipe:
    """What both trainers are measured with; the rows are given to the trainer, not read from `data`."""
    return Recipe(
        model=str(folder),
        dtype=dtype,
        data=DataSpec(path="", max_length=max_length),
        lora=LoraSpec(rank=8, alpha=16),
        train=TrainSpec(steps=steps, batch_size=batch_size, learning_rate=1e-4, schedule="constant"),
    )


def word_problems(count: int) -> list[Record]:
    """Made-up word problems with worked answers, as long as GSM8K's; the same at every call."""
    dice = random.Random(0)
    problems = []
    for number in range(count):
        sentences, sums, total = [], [], 0
        for name in dice.sample(
            ["Ana", "Ben", "Chloe", "David", "Emil", "Fatima", "Grace", "Hugo"], dice.randint(2, 5)
        ):
            boxes, apples = dice.randint(2, 30), dice.randint(2, 40)
            total += boxes * apples
            sentences.append(f"{name} brings {boxes} boxes with {apples} apples in each of them to the market.")
            sums.append(
                f"{name} brings {boxes} times {apples}, which is <<{boxes}*{apples}={boxes * apples}>>{boxes * apples}."
            )
        question = f"{' '.join(sentences)} How many apples do they bring to the market altogether?"
        answer = f"{chr(10).join(sums)}\nTogether they bring {total} apples.\n#### {total}"
        problems.append(Record(str(number), (Message("user", question), Message("assistant", answer))))
    return problems
