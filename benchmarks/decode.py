"""How much longer several answers take than one, and how much more memory.

    python -m benchmarks.decode FOLDER [--tokens 128] [--rounds 3]

Each round times one, two and three voices after the same prompt, in turn, so that what else the machine does falls on
all of them; the ratios are of the rounds' medians. The adapters are fresh ones of rank 8 that change something. The
peak of memory is the allocator's during one answer, with what is held.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from gemmalocal.backends import open_backend
from gemmalocal.backends.protocol import Sampling
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.recipe.schema import Recipe

PROMPT = "Quote: The best way to predict the future"


def adapters(backend: Any, folder: Path, into: Path) -> list[Path]:
    """Two adapters in folders of `into`."""
    import mlx.core as mx

    made = []
    for name in ("one", "two"):
        spec = {"model": str(folder), "data": {"path": "-"}, "train": {"steps": 1}, "lora": {"rank": 8}}
        trainer = backend.trainer(folder, Recipe.model_validate(spec))
        for number, layer in enumerate(trainer._adapters):
            layer.lora_b = 0.01 * mx.random.normal(layer.lora_b.shape, key=mx.random.key(number))
        made.append(into / name)
        made[-1].mkdir()
        trainer.save(made[-1])
    return made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    backend = open_backend("mlx")
    import mlx.core as mx

    with tempfile.TemporaryDirectory() as place:
        generator = backend.generator(asked.folder, adapters(backend, asked.folder, Path(place)))
    tokenizer = Tokenizer(asked.folder)
    prompt = tokenizer.encode(tokenizer.bos + PROMPT)
    mixes = {"base": [0], "tuned": [1], "base + 1": [0, 1], "base + 2": [0, 1, 2]}

    def answer(voices: list[int], tokens: int) -> float:
        began = time.perf_counter()
        for _ in generator.stream([prompt] * len(voices), voices, Sampling(max_tokens=tokens), set()):
            pass
        return time.perf_counter() - began

    seconds: dict[str, list[float]] = {name: [] for name in mixes}
    peaks: dict[str, int] = {}
    for voices in mixes.values():
        answer(voices, 4)
    for _ in range(asked.rounds):
        for name, voices in mixes.items():
            mx.clear_cache()
            mx.reset_peak_memory()
            seconds[name].append(answer(voices, asked.tokens))
            peaks[name] = mx.get_peak_memory()
    for name, times in seconds.items():
        middle = statistics.median(times)
        ratios = [middle / statistics.median(seconds[other]) for other in ("base", "tuned")]
        print(
            f"{name:<9} {1000 * middle / asked.tokens:6.1f} ms a token  {ratios[0]:.2f} x base  "
            f"{ratios[1]:.2f} x tuned  {peaks[name] / 2**20:.0f} MB  {peaks[name] / peaks['base']:.3f} x"
        )


if __name__ == "__main__":
    main()
