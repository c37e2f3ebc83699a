"""Makes preference_steps.npz: adapters after five steps of TRL's own trainers with PEFT, which ours must equal.

    pip install trl==1.16.0 peft torch==2.13.0
    python -m tests.backends.goldens.preference_steps_by_trl

Base models are tiny, with weights drawn by a seed, one of each generation; adapters start as ours do. Every step takes
all rows, so that their order does not matter.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from peft import PeftModel
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer
from trl.experimental.kto import KTOConfig, KTOTrainer

from gemmalocal.backends import open_backend
from tests.backends.preference_steps import GENERATIONS, RATE, STEPS, base, pairs, recipe, thumbs

COMMON: dict[str, Any] = {
    "max_steps": STEPS, "learning_rate": RATE, "beta": 0.1, "lr_scheduler_type": "constant", "max_length": 64,
    "bf16": False, "fp16": False, "use_cpu": True, "gradient_checkpointing": False, "report_to": [], "seed": 0,
    "save_strategy": "no", "logging_steps": 1, "disable_tqdm": True, "disable_dropout": True,
}  # fmt: skip


def adapter(kind: str, folder: Path) -> dict[str, Any]:
    """What TRL makes of the model in a folder."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with tempfile.TemporaryDirectory() as scratch:
        open_backend("torch").trainer(folder, recipe(folder, kind, Path("rows.jsonl"))).save(Path(scratch))
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
        model = PeftModel.from_pretrained(model, scratch, is_trainable=True)
        rows = pairs() if kind == "dpo" else thumbs()
        settings = COMMON | {"output_dir": scratch, "per_device_train_batch_size": len(rows)}
        trainers: dict[str, Any] = {"dpo": (DPOTrainer, DPOConfig), "kto": (KTOTrainer, KTOConfig)}
        trainer, config = trainers[kind]
        ran = trainer(
            model=model, args=config(**settings), train_dataset=Dataset.from_list(rows), processing_class=tokenizer
        )
        ran.train()
        ran.model.save_pretrained(scratch)
        losses = [row["loss"] for row in ran.state.log_history if "loss" in row]
        return {**load_file(Path(scratch) / "adapter_model.safetensors"), "losses": np.array(losses)}


def main() -> None:
    """Write the file."""
    arrays: dict[str, Any] = {}
    for name in GENERATIONS:
        with tempfile.TemporaryDirectory() as folder:
            base(name, Path(folder))
            for kind in ("dpo", "kto"):
                arrays |= {f"{name} {kind} {key}": value for key, value in adapter(kind, Path(folder)).items()}
    np.savez_compressed(Path(__file__).with_name("preference_steps.npz"), **arrays)


if __name__ == "__main__":
    main()
