"""A DPO step against an imitation step on the same tokens, and against TRL's, on the same pairs.

    python -m benchmarks.preferences MODEL_DIR [mlx | torch | trl] [STEPS]

Four pairs a step, of about 200 tokens each answer, LoRA of rank 8 on seven projections, float32 on a CPU. All of them
know the log-probabilities of the reference before the first step. `trl` needs trl, peft and datasets. Prints one JSON
object: seconds a step (the median, the first left out), pairs a second, and the peak of the process's memory in bytes.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.planted_preference import write_long

BATCH, LENGTH = 4, 1024


def peak() -> int:
    """Bytes that this process has had in memory at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def figures(name: str, seconds: list[float], **more: Any) -> dict[str, Any]:
    """What is printed."""
    step = median(seconds)
    return {"trainer": name, "seconds_a_step": round(step, 3), "pairs_a_second": round(BATCH / step, 3)} | more


def ours(model: Path, engine: str, pairs: Path, steps: int) -> dict[str, Any]:
    """Steps of DPO, then of imitation of the same answers, of our trainer."""
    import numpy as np

    from gemmalocal.backends import open_backend
    from gemmalocal.data import token_store
    from gemmalocal.data.batches import batch, batch_indices, plan, rounds
    from gemmalocal.engine.judged_side import JudgedSide
    from gemmalocal.engine.preference import Preference
    from gemmalocal.engine.reference import Reference
    from gemmalocal.pipelines.shared.loading import Prepared, prepare
    from gemmalocal.recipe.schema import Recipe

    recipe = Recipe.model_validate(
        {
            "model": str(model),
            "data": {"path": str(pairs), "split": 0, "max_length": LENGTH},
            "objective": {"kind": "dpo"},
            "train": {"steps": steps, "batch_size": BATCH, "learning_rate": 1e-5},
        }
    )
    prepared = Prepared()
    folder = pairs.parent
    list(prepare(recipe, prepared, folder / "examples"))
    assert token_store.exists(folder / "examples")
    trainer = open_backend(engine).trainer(model, recipe)
    side = JudgedSide.of(recipe.objective, prepared.train)
    places = [batch_indices(len(prepared.train), BATCH, 0, number, None, 2) for number in range(steps)]
    reference = Reference(folder, len(prepared.train))
    list(reference.fill(side, np.concatenate(places), None, trainer))
    preference = Preference(recipe.objective, side, side, reference, None)

    def prefer(number: int) -> None:
        trainer.apply(1e-5, int(preference.accumulate(places[number], trainer).judged))

    def imitate(number: int) -> None:
        examples = batch(prepared.train, BATCH, 0, number, None, 2)
        for parts in rounds(plan(examples, trainer.shapes), trainer.shapes.streams):
            trainer.accumulate(parts)
        trainer.apply(1e-5)

    seconds = timed(prefer, steps)
    most = peak()
    imitated = timed(imitate, steps)
    return figures(
        f"ours, {engine}", seconds, peak_bytes=most, by_imitation=round(median(seconds) / median(imitated), 3)
    )


def timed(step: Callable[[int], None], steps: int) -> list[float]:
    """Seconds of each step but the first."""
    seconds = []
    for number in range(steps):
        start = time.perf_counter()
        step(number)
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def trl(model: Path, pairs: Path, steps: int) -> dict[str, Any]:
    """Steps of TRL's trainer with PEFT."""
    import torch
    from datasets import load_dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import DPOConfig, DPOTrainer

    ends: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc,no-any-unimported,unused-ignore]
        def on_step_end(self, *arguments: Any, **named: Any) -> None:
            ends.append(time.perf_counter())

    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32),
        train_dataset=load_dataset("json", data_files=str(pairs), split="train"),
        processing_class=AutoTokenizer.from_pretrained(model),
        args=DPOConfig(
            output_dir=tempfile.mkdtemp(), per_device_train_batch_size=BATCH, max_steps=steps, learning_rate=1e-5,
            beta=0.1, lr_scheduler_type="constant", max_length=LENGTH, precompute_ref_log_probs=True, bf16=False,
            use_cpu=True, gradient_checkpointing=False, report_to=[], save_strategy="no", seed=0, disable_tqdm=True,
        ),
        peft_config=LoraConfig(
            r=8, lora_alpha=16, task_type="CAUSAL_LM",
            target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        ),
        callbacks=[Clock()],
    )  # fmt: skip
    trainer.train()
    seconds = [end - start for start, end in zip(ends, ends[1:], strict=False)]
    return figures("TRL", seconds, peak_bytes=peak())


def main() -> None:
    """Measure one trainer."""
    model, which = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "mlx"
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 6
    with tempfile.TemporaryDirectory() as folder:
        pairs = Path(folder) / "pairs.jsonl"
        write_long(pairs)
        print(json.dumps(trl(model, pairs, steps) if which == "trl" else ours(model, which, pairs, steps)))


if __name__ == "__main__":
    main()
