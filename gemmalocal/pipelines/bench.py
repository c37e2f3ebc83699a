"""Our trainer, or the engine's stock one, on the same rows: the figures that `gemmalocal bench` puts side by side."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from gemmalocal.backends import open_backend
from gemmalocal.backends.protocol import Trainer
from gemmalocal.data.batches import batch, plan, rounds
from gemmalocal.data.dataset import Records
from gemmalocal.data.examples import Example, to_examples
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.events import Event, Finished, Progress, Report, Stage
from gemmalocal.recipe import DataSpec, LoraSpec, Recipe, TrainSpec
from gemmalocal.records import Message, Record
from gemmalocal.weights.locate import locate

BATCH, MADE_UP, LONGEST = 4, 120, 1024


def run(spec: dict[str, Any], directory: Path, commands: Callable[[], list[dict[str, Any]]]) -> Iterator[Event]:
    """`spec`: model, backend, dtype, rows (or None), steps, and who trains: ours or stock."""
    yield Stage(f"preparing ({spec['who']})")
    folder = locate(spec["model"], lambda *what: None)
    tokenizer = Tokenizer(folder)
    records = Records(DataSpec(path=spec["rows"])) if spec["rows"] else word_problems(MADE_UP)
    made = (one for _, several in to_examples(records, tokenizer, LONGEST) for one in several)
    examples = [one for one in made if isinstance(one, Example)]
    backend = open_backend(spec["backend"])
    yield Stage(f"training ({spec['who']})")
    if spec["who"] == "stock":
        pairs = [(example.ids.tolist(), len(example.ids) - example.supervised) for example in examples]
        yield Report(backend.rival(folder, pairs, BATCH, spec["steps"], LONGEST))
        yield Finished("done")
        return
    trainer = backend.trainer(folder, recipe(folder, spec["steps"], BATCH, LONGEST, spec["dtype"]))
    trainer.memory()  # loading is not counted
    figures: dict[str, Any] = {}
    yield from measure(trainer, examples, spec["steps"], figures)
    limits = backend.probe()
    figures |= {"limit_gflops": limits["gflops"], "device": limits["device"]}
    figures["loss_by_full_logits"] = trainer.full_logits_loss(plan(batch(examples, BATCH, 0, 0), trainer.shapes))
    yield Report(figures)
    yield Finished("done")


def recipe(
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


def measure(trainer: Trainer, examples: list[Example], steps: int, figures: dict[str, Any]) -> Iterator[Event]:
    """Train `steps` batches; fill `figures` with speed (the first step left out), peak, useful work, first loss."""
    tokens = real = 0
    start = 0.0
    peak = 0
    for step in range(steps):
        if step == 1:
            start = time.perf_counter()
        rows = batch(examples, BATCH, 0, step)
        for parts in rounds(plan(rows, trainer.shapes), trainer.shapes.lanes):
            trainer.accumulate(parts)
        update = trainer.apply(1e-4)
        peak = max(peak, trainer.memory().peak)
        figures.setdefault("loss", update.loss)
        if step:
            tokens += update.tokens
            real += sum(len(row.ids) - 1 for row in rows)
        yield Progress("training", step + 1, steps)
    seconds = time.perf_counter() - start
    body, head = trainer.work()
    figures |= {
        "trainer": "gemmalocal",
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_second": tokens / seconds,
        "peak_bytes": peak,
        "gflops": (real * body + tokens * head) / seconds / 1e9,
    }


def word_problems(count: int) -> list[Record]:
    """Made-up word problems with worked answers, as long as GSM8K's; the same at every call."""
    dice = random.Random(0)
    made = []
    for number in range(count):
        parts, sums, total = [], [], 0
        for name in dice.sample(
            ["Ana", "Ben", "Chloe", "David", "Emil", "Fatima", "Grace", "Hugo"], dice.randint(2, 5)
        ):
            boxes, each = dice.randint(2, 30), dice.randint(2, 40)
            total += boxes * each
            parts.append(f"{name} brings {boxes} boxes with {each} apples in each of them to the market.")
            sums.append(
                f"{name} brings {boxes} times {each}, which is <<{boxes}*{each}={boxes * each}>>{boxes * each}."
            )
        question = f"{' '.join(parts)} How many apples do they bring to the market altogether?"
        answer = f"{chr(10).join(sums)}\nTogether they bring {total} apples.\n#### {total}"
        made.append(Record(str(number), (Message("user", question), Message("assistant", answer))))
    return made
