"""mlx-lm's own LoRA trainer on the same rows: what `bench` compares us with."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
from mlx_lm.tuner.callbacks import TrainingCallback
from mlx_lm.tuner.trainer import TrainingArgs, train
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load_model

from gemmalocal.backends import baseline
from gemmalocal.backends.baseline import ALPHA, LEARNING_RATE, RANK
from gemmalocal.backends.mlx import compute_path
from gemmalocal.backends.mlx.errors import translated
from gemmalocal.backends.mlx.model import DTYPES

SCALE = ALPHA / RANK  # as mlx-lm has it


class _Reports(TrainingCallback):  # type: ignore[misc]
    """When each step ended (seconds), and how many tokens mlx-lm had trained on by then."""

    def __init__(self) -> None:
        self.steps = [(time.perf_counter(), 0)]

    def on_train_loss_report(self, info: dict[str, Any]) -> None:
        self.steps.append((time.perf_counter(), int(info["trained_tokens"])))


def train_baseline(
    folder: Path,
    rows: Sequence[tuple[list[int], int]],
    batch_size: int,
    steps: int,
    max_length: int,
    checkpointing: bool = False,
) -> dict[str, Any]:
    """Train with mlx-lm as it comes. Its token count holds one padding token a row, which favours it.

    The first of several steps is left out of tokens and seconds.
    """
    reports = _Reports()
    with translated():
        model = load_stock(folder, "auto", adapted=True)
        train_stock(model, rows, batch_size, steps, max_length, checkpointing, reports)
    (start, tokens_before), (end, tokens_after) = reports.steps[1 if steps > 1 else 0], reports.steps[-1]
    return baseline.figures("mlx-lm", tokens_after - tokens_before, end - start, int(mx.get_peak_memory()))


def train_stock(
    model: Any,
    rows: Sequence[tuple[list[int], int]],
    batch_size: int,
    steps: int,
    max_length: int,
    checkpointing: bool,
    reports: TrainingCallback,
) -> None:
    """Train `load_stock`'s model with mlx-lm as it comes; it reports after each step."""
    np.random.seed(0)
    mx.reset_peak_memory()
    with tempfile.TemporaryDirectory() as scratch:
        train(
            model=model,
            optimizer=optim.AdamW(learning_rate=LEARNING_RATE, bias_correction=True),
            train_dataset=list(rows),
            val_dataset=None,
            args=TrainingArgs(
                batch_size=batch_size,
                iters=steps,
                steps_per_report=1,
                steps_per_eval=10**9,
                steps_per_save=10**9,
                grad_checkpoint=checkpointing,
                max_seq_length=max_length,
                adapter_file=str(Path(scratch) / "adapters.safetensors"),
            ),
            training_callback=reports,
        )


def load_stock(folder: Path, dtype: str, adapted: bool) -> Any:
    """mlx-lm's model as it comes, with a fresh adapter of bench's recipe or without. `dtype` is a recipe's."""
    mx.random.seed(0)
    model, _ = load_model(folder)
    dtype = compute_path.current().auto_dtype if dtype == "auto" else dtype
    if dtype in DTYPES:
        model.set_dtype(DTYPES[dtype])
    model.freeze()
    if adapted:
        linear_to_lora_layers(model, len(model.layers), {"rank": RANK, "scale": SCALE, "dropout": 0.0})
    return model
