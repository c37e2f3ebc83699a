"""What TRL and we both train: tiny models of each generation, and a few rows of judgements."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from gemmalocal.recipe.schema import Recipe
from tests.conftest import write_tiny

GENERATIONS = ("gemma1", "gemma2", "gemma3", "gemma4")
STEPS, RATE = 5, 1e-3
PROJECTIONS = ["q_proj", "down_proj"]


def base(name: str, folder: Path) -> None:
    """Fill a folder with a tiny model of random weights, and a tokenizer."""
    import torch
    import transformers

    from tests.backends.test_generations import configuration

    write_tiny(folder)
    (folder / "model.safetensors").unlink()
    torch.manual_seed(GENERATIONS.index(name))
    network: Any = transformers.AutoModelForCausalLM.from_config(configuration(name))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.1 if parameter.ndim > 1 else 0.2))
            if parameter.ndim == 1 and name == "gemma4":
                parameter.add_(1)  # the norms of Gemma 4 have no `1 +`
    network.save_pretrained(folder)


def pairs() -> list[dict[str, Any]]:
    """Eight pairs."""
    draw = random.Random(7)

    def words() -> str:
        return " ".join("".join(draw.choices("abcdefgh", k=draw.randint(1, 4))) for _ in range(draw.randint(1, 5)))

    return [{"prompt": f"{words()}: ", "chosen": words(), "rejected": words()} for _ in range(8)]


def thumbs() -> list[dict[str, Any]]:
    """Eight answers, half of them good."""
    return [
        {"prompt": row["prompt"], "completion": row["chosen"], "label": number % 2 == 0}
        for number, row in enumerate(pairs())
    ]


def recipe(folder: Path, kind: str, rows: Path) -> Recipe:
    """Five steps over all of the rows."""
    return Recipe.model_validate(
        {
            "model": str(folder),
            "dtype": "float32",
            "data": {"path": str(rows), "split": 0, "max_length": 64},
            "objective": {"kind": kind},
            "lora": {"rank": 2, "alpha": 4, "target_modules": PROJECTIONS},
            "train": {"steps": STEPS, "batch_size": 8, "learning_rate": RATE, "schedule": "constant", "warmup": 0},
        }
    )
