"""mlx-lm's own reading of a model and an adapter in its layout, without our fixes: what a user of mlx-lm will get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx_lm.generate import generate_step
from mlx_lm.tuner.utils import load_adapters
from mlx_lm.utils import load_model
from numpy.typing import NDArray

from gemmalocal.backends.mlx import compute_path
from gemmalocal.backends.mlx.errors import translated
from gemmalocal.backends.process_group import ALONE
from gemmalocal.data.batches import BatchShape, MicroBatch
from gemmalocal.errors import ModelError


def load_with_mlx_lm(base: Path, adapter: Path) -> MlxLmReader:
    """Load the model in `base` with `adapter` over it; raises `ModelError` for an adapter that mlx-lm refuses."""
    with translated():
        return MlxLmReader(base, adapter)


class MlxLmReader:
    """Answers as mlx-lm does; in float32 on a CPU, where its bfloat16 is 40 times slower."""

    def __init__(self, base: Path, adapter: Path) -> None:
        self.shapes, self.group = BatchShape(32, 0, 1), ALONE  # row by row: the logits of a row are whole in memory
        self._model, _ = load_model(base, lazy=True)
        if compute_path.current().auto_dtype == "float32":
            self._model.set_dtype(mx.float32)
        try:
            load_adapters(self._model, str(adapter))
        except ValueError as error:
            hint = "Name the model that it was trained on."
            raise ModelError(f"mlx-lm does not read the adapter over {base.name}: {error}", hint) from error
        self._model.eval()

    def evaluate(self, parts: Sequence[MicroBatch]) -> tuple[float, float]:
        """Summed loss in nats, and summed weights of tokens."""
        total = 0.0
        with translated():
            for part in parts:
                logits = self._model(mx.array(part.ids[:, :-1])).astype(mx.float32)  # (rows, length, vocabulary)
                losses = nn.losses.cross_entropy(logits, mx.array(part.ids[:, 1:]))
                total += float((losses * mx.array(part.weights[:, 1:])).sum())
        return total, sum(part.weight for part in parts)

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The scores (vocabulary,) of what follows `ids`."""
        with translated():
            return np.array(self._model(mx.array([list(ids)]))[0, -1].astype(mx.float32))

    def stream(self, ids: Sequence[int], max_tokens: int, stops: set[int]) -> Iterator[int]:
        """Answer greedily, id by id; a stop id ends it and is the last one yielded."""
        with translated():
            for token_id, _ in generate_step(mx.array(list(ids)), self._model, max_tokens=max_tokens):
                yield int(token_id)
                if int(token_id) in stops:
                    return
