"""What `bench` compares us with: transformers and PEFT as they come, with padded batches and whole logits.

That is the work of a step of Trainer's, or of TRL's SFTTrainer with its settings left alone.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from gemmalocal.backends import baseline
from gemmalocal.backends.baseline import ALPHA, LEARNING_RATE, RANK
from gemmalocal.backends.torch import device
from gemmalocal.backends.torch.cpu_memory import Resident
from gemmalocal.backends.torch.errors import translated
from gemmalocal.errors import BackendUnavailable
from gemmalocal.recipe.schema import ALL_MODULES

INSTALL = "pip install peft"
IGNORED = -100  # a label that is not supervised, in transformers' words


def train_baseline(
    folder: Path,
    rows: Sequence[tuple[list[int], int]],
    batch_size: int,
    steps: int,
    max_length: int,
    checkpointing: bool = False,
) -> dict[str, Any]:
    """Train the rows; the first of several steps is left out of tokens and seconds, loading of the peak."""
    with translated():
        return _train(folder, rows, batch_size, steps, max_length, checkpointing)


def _train(
    folder: Path,
    rows: Sequence[tuple[list[int], int]],
    batch_size: int,
    steps: int,
    max_length: int,
    checkpointing: bool,
) -> dict[str, Any]:
    try:
        from peft import LoraConfig, get_peft_model  # slow to import, and only this needs it
    except ImportError as error:
        raise BackendUnavailable("bench compares torch with PEFT, which is not installed here.", INSTALL) from error

    torch_device, resident = device.current(), Resident()
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=device.here("auto").weights, local_files_only=True)
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=list(ALL_MODULES), task_type="CAUSAL_LM")
    model = get_peft_model(base.to(torch_device), config).train()
    if checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable()
    optimizer = torch.optim.AdamW(
        [weight for weight in model.parameters() if weight.requires_grad], lr=LEARNING_RATE, weight_decay=0
    )
    repeated = itertools.cycle([(ids[:max_length], masked) for ids, masked in rows])
    resident()
    tokens, start, peak = 0, time.perf_counter(), 0
    for step in range(steps):
        if step == 1:
            tokens, start = 0, time.perf_counter()
        ids, labels = _batch(list(itertools.islice(repeated, batch_size)))
        loss = model(
            input_ids=ids.to(torch_device), attention_mask=(ids > 0).to(torch_device), labels=labels.to(torch_device)
        ).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        tokens += int((labels[:, 1:] != IGNORED).sum())
        peak = max(peak, resident().peak)
    float(loss)  # a GPU computes when it is asked for a result
    seconds = time.perf_counter() - start
    peak = torch.cuda.max_memory_allocated() if torch_device.type == "cuda" else peak
    return baseline.figures("transformers+peft", tokens, seconds, peak)


def _batch(rows: list[tuple[list[int], int]]) -> tuple[Tensor, Tensor]:
    """Ids and labels (rows, longest), int64, padded with 0 and with `IGNORED`."""
    ids = torch.zeros(len(rows), max(len(row) for row, _ in rows), dtype=torch.long)
    labels = torch.full_like(ids, IGNORED)
    for number, (row, masked) in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
        labels[number, masked : len(row)] = ids[number, masked : len(row)]
    return ids, labels
