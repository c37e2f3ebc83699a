"""The fit plan against the allocator on the GPU's path: a step's expected peak beside what MLX took for it.

    python -m benchmarks.fit_plan [--only TEXT]

Small Gemma 3 shapes with random weights, one after the other, on whatever MLX computes on: on its CPU build the GPU's
path allocates as on a GPU, but spells out norms and rotary positions. The peak is the allocator's during the second
step of one row, whose last 128 tokens are supervised.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from gemmalocal.backends import open_backend
from gemmalocal.planning.device_memory import MLX_PATH
from gemmalocal.recipe.schema import Recipe

LAYERS, WORDS, GEMMAS_WORDS = 8, 32_768, 262_144


class Configuration(NamedTuple):
    """A step: a row of `length` tokens through so many layers, of which each `every`-th looks at all of the row."""

    length: int
    dtype: str = "float32"
    method: str = "lora"
    checkpointing: bool = False
    layers: int = LAYERS
    words: int = WORDS
    every: int = 6
    targets: str = "all"

    def __str__(self) -> str:
        """In words, as the table has them."""
        said = f"{self.length:,} {self.dtype} {self.method} {self.layers} layers, {self.words:,} words"
        said += {1: ", all global", 8: ", the last one global"}.get(self.every, "")
        return said + ", checkpointing" * self.checkpointing + f", {self.targets}" * (self.targets != "all")


CONFIGURATIONS = (
    *(Configuration(length) for length in (512, 1024, 2048, 4096)),
    *(Configuration(length, checkpointing=True) for length in (512, 1024, 2048, 4096)),
    *(Configuration(length, method="dora") for length in (512, 2048)),
    *(Configuration(length, method="qlora") for length in (512, 1024)),
    Configuration(512, words=GEMMAS_WORDS),
    Configuration(2048, words=GEMMAS_WORDS, checkpointing=True),
    Configuration(1024, every=1),
    Configuration(4096, every=1, layers=4),
    Configuration(2048, every=8),
    Configuration(1024, targets="q_proj,v_proj"),
    Configuration(512, "bfloat16"),
    Configuration(512, "bfloat16", checkpointing=True),
    Configuration(512, "bfloat16", "dora"),
    Configuration(512, "bfloat16", "qlora"),
    Configuration(1024, "bfloat16", layers=4),
    Configuration(2048, "bfloat16", layers=3),
    Configuration(512, "bfloat16", words=GEMMAS_WORDS, layers=4),
    Configuration(4096, "bfloat16", checkpointing=True, layers=3),
)


def recipe(configuration: Configuration, folder: Path) -> Recipe:
    """The recipe of a configuration, without dropout."""
    lora: dict[str, object] = {"rank": 8, "dropout": 0}
    if configuration.targets != "all":
        lora["target_modules"] = configuration.targets.split(",")
    tree: dict[str, object] = {
        "model": str(folder),
        "data": {"path": "-"},
        "dtype": configuration.dtype,
        "method": "dora" if configuration.method == "dora" else "lora",
        "lora": lora,
        "train": {"steps": 1, "checkpointing": configuration.checkpointing},
    }
    if configuration.method == "qlora":
        tree["quantize"] = "4bit"
    return Recipe.model_validate(tree)


def main() -> None:
    """Measure and print; the last line says how far off the worst is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="the configurations whose words have this in them")
    chosen = [each for each in CONFIGURATIONS if parser.parse_args().only in str(each)]
    os.environ[MLX_PATH] = "gpu"
    open_backend("mlx")  # before `mlx.core` is imported
    from tests.backends.test_fit_plan import measured_and_planned, write_model

    worst = 0.0
    print(f"{'plan / peak':>12} {'peak, MB':>9}  tokens of a row, and what computes them")
    for configuration in chosen:
        with tempfile.TemporaryDirectory() as place:
            shape = {
                "num_hidden_layers": configuration.layers,
                "vocab_size": configuration.words,
                "sliding_window_pattern": min(configuration.every, configuration.layers),  # mlx-lm wants a global one
            }
            folder = write_model(Path(place), "small", **shape)
            measured, planned = measured_and_planned(
                folder, recipe(configuration, folder), configuration.length, 1, 128
            )
        worst = max(worst, abs(planned / measured - 1))
        print(f"{planned / measured:12.3f} {measured / 1e6:9,.0f}  {configuration}", flush=True)
    print(f"{len(chosen)} configurations, the worst off by {worst:.1%}")


if __name__ == "__main__":
    main()
