"""One measurement of `benchmarks.device`, in a process of its own: a trainer, a model, rows, a device.

It is told what to do by a JSON object as its argument, and prints one: losses in nats a token, supervised tokens and
seconds without the first step, the peak in bytes, and of ours what was planned and whether a resumed run is the same.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # the engine comes once its device is chosen
    from gemmalocal.backends.protocol import Trainer
    from gemmalocal.data.examples import Example

MAX_LENGTH = 1024
EIGHT_BIT = "paged_adamw_8bit"


@dataclass(frozen=True)
class Asked:
    """Who trains (an engine's name, or trl), what, on which rows, how."""

    who: str
    folder: Path
    rows: list[tuple[list[int], list[int]]]  # ids, and 1 where a token is supervised
    steps: int
    batch: int
    quantized: bool = False  # NF4 and AdamW with an 8-bit state
    on_cpu: bool = False  # and in float32

    def batch_rows(self, step: int) -> list[tuple[list[int], list[int]]]:
        """The rows of a step, in the order of the file."""
        return [self.rows[(step * self.batch + place) % len(self.rows)] for place in range(self.batch)]


def main() -> None:
    """Measure what is asked, and print it."""
    words = json.loads(sys.argv[1])
    rows = json.loads(Path(words.pop("rows")).read_text(encoding="utf-8"))
    asked = Asked(rows=rows, **(words | {"folder": Path(words["folder"])}))
    print(json.dumps(with_trl(asked) if asked.who == "trl" else with_ours(asked)))


def with_ours(asked: Asked) -> dict[str, Any]:
    """The same steps as our run loop takes, and the second half of them again from a checkpoint."""
    if asked.on_cpu and asked.who == "mlx":
        import mlx.core as mx

        mx.set_default_device(mx.cpu)
    from gemmalocal.backends import open_backend
    from gemmalocal.data.examples import Example
    from gemmalocal.pipelines.shared.budget import budget
    from gemmalocal.planning.memory import Load

    backend = open_backend(asked.who)
    examples = [
        [Example(np.array(ids, np.int32), np.array(mask, np.float32)) for ids, mask in asked.batch_rows(step)]
        for step in range(asked.steps)
    ]
    longest = max(len(row.ids) for rows in examples for row in rows)
    whole = max(sum(len(row.ids) for row in rows) for rows in examples)
    decided = budget(
        recipe(asked), asked.folder, lambda shapes: Load(max(longest, min(whole, shapes.limit)), longest), backend
    )
    trainer = backend.trainer(asked.folder, decided.recipe)
    trainer.shapes = decided.shapes
    held = trainer.memory().active
    return trained_twice(trainer, examples) | {
        "planned": decided.expected.total,
        "held": held,
        "of": decided.memory.of,
        "checkpointing": decided.recipe.train.checkpointing,
    }


def trained_twice(trainer: Trainer, examples: list[list[Example]]) -> dict[str, Any]:
    """Figures of all steps, and by how much those of the second half differ when they are taken from a checkpoint."""
    from gemmalocal.data.batches import plan, rounds

    losses, tokens, peak, began, half = list[float](), 0, 0, 0.0, len(examples) // 2

    def step(rows: list[Example]) -> float:
        for parts in rounds(plan(rows, trainer.shapes), trainer.shapes.streams):
            trainer.accumulate(parts)
        return trainer.apply(1e-4).loss

    with tempfile.TemporaryDirectory() as place:
        for number, rows in enumerate(examples):
            if number == half:
                saving = time.perf_counter()
                trainer.save(Path(place))
                began += time.perf_counter() - saving
            began = time.perf_counter() if number == 1 else began
            losses.append(step(rows))
            tokens += sum(row.supervised for row in rows) if number else 0
            peak = max(peak, trainer.memory().peak)
        seconds = time.perf_counter() - began
        trainer.restore(Path(place))
        again = [step(rows) for rows in examples[half:]]
    resumed_by = max(abs(one - other) / other for one, other in zip(again, losses[half:], strict=True))
    return {"losses": losses, "tokens": tokens, "seconds": seconds, "peak": peak, "resumed_by": resumed_by}


def recipe(asked: Asked) -> Any:
    """The recipe of `bench`, quantized or in float32."""
    from gemmalocal.pipelines.shared.word_problems import bench_recipe

    plain = bench_recipe(asked.folder, asked.steps, asked.batch, MAX_LENGTH, "float32" if asked.on_cpu else "auto")
    if not asked.quantized:
        return plain
    train = plain.train.model_copy(update={"optimizer": EIGHT_BIT} if asked.who == "torch" else {})
    return plain.model_copy(update={"quantize": "4bit", "train": train})


def with_trl(asked: Asked) -> dict[str, Any]:
    """TRL's SFTTrainer with PEFT and bitsandbytes, on the same rows in the same order."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from gemmalocal.recipe.schema import ALL_MODULES

    on_card = torch.cuda.is_available() and not asked.on_cpu
    ampere = on_card and torch.cuda.get_device_capability() >= (8, 0)
    stamps, counts = list[float](), list[int]()

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **unused: Any) -> None:
            if on_card:
                torch.cuda.synchronize()
            stamps.append(time.perf_counter())

    class InOrder(SFTTrainer):  # type: ignore[misc]
        def _get_train_sampler(self, dataset: Any = None) -> Any:
            return torch.utils.data.SequentialSampler(dataset if dataset is not None else self.train_dataset)

        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            counts.append(int((inputs["labels"][:, 1:] != -100).sum()))
            return super().compute_loss(model, inputs, *args, **kwargs)

    rows = [row for step in range(asked.steps) for row in asked.batch_rows(step)]
    trainer = InOrder(
        model=AutoModelForCausalLM.from_pretrained(asked.folder, **loading(asked, on_card, ampere)),
        train_dataset=Dataset.from_list([{"input_ids": ids, "completion_mask": mask} for ids, mask in rows]),
        processing_class=AutoTokenizer.from_pretrained(asked.folder),
        args=SFTConfig(output_dir=tempfile.mkdtemp(), **told_to_trl(asked, on_card, ampere)),
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules=list(ALL_MODULES), task_type="CAUSAL_LM"),
        callbacks=[Clock()],
    )
    trainer.train()
    peak = torch.cuda.max_memory_allocated() if on_card else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    return {"losses": losses, "tokens": sum(counts[1:]), "seconds": stamps[-1] - stamps[0], "peak": peak}


def told_to_trl(asked: Asked, on_card: bool, ampere: bool) -> dict[str, Any]:
    """SFTConfig's settings, but for a folder."""
    return {
        "per_device_train_batch_size": asked.batch,
        "max_steps": asked.steps,
        "learning_rate": 1e-4,
        "lr_scheduler_type": "constant",
        "max_length": MAX_LENGTH,
        "completion_only_loss": True,
        "bf16": ampere,
        "fp16": on_card and not ampere,
        "use_cpu": not on_card,
        "gradient_checkpointing": False,
        "logging_steps": 1,
        "report_to": [],
        "save_strategy": "no",
        "seed": 0,
        "disable_tqdm": True,
        "optim": EIGHT_BIT if asked.quantized and on_card else "adamw_torch",
    }


def loading(asked: Asked, on_card: bool, ampere: bool) -> dict[str, Any]:
    """What transformers is told of the weights."""
    import torch
    from transformers import BitsAndBytesConfig

    dtype = torch.bfloat16 if ampere else torch.float16 if on_card else torch.float32
    told: dict[str, Any] = {"dtype": dtype, "local_files_only": True}
    if on_card:
        told["device_map"] = {"": 0}
    if asked.quantized:
        told["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    return told


if __name__ == "__main__":
    main()
