"""Which learning rate trains best: a grid of rates on several sets of rows, each run short and annealed to its end.

    python -m benchmarks.rates RESULTS [--steps 60] [--seeds 2] [--rank 8] [--set KEY=VALUE]... [--beta2 0.99]
        NAME=ROWS[::KEY=VALUE]...

`RESULTS` is a file of one JSON object a run; a run that is in it is not made again. `ROWS` is a file or `package:...`;
keys after it go into the recipe, such as `data.template=Quote: {quote}`. The runs go by seed, so that the first ones
tell of all sets. Printed: the held-out loss of each rate, beside the untrained model's, and the best rate of each set.
Each run also has the loss of the mean of its adapters of the last third of the steps (`averaged`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RATES = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3)
MODEL = "gemma-3-270m-demo"


def recipe(rows: str, settings: list[str]) -> dict[str, Any]:
    """The keys of a recipe on these rows: plain LoRA, four rows a step, nothing measured before the end."""
    from gemmalocal.recipe import overrides
    from gemmalocal.recipe.schema import Recipe

    tree: dict[str, Any] = {
        "model": MODEL,
        "data": {"path": rows, "max_length": 256},
        "train": {"batch_size": 4, "schedule": "linear", "warmup": 2, "evaluate_every": 10_000, "save_every": 10_000},
    }
    problems, _ = overrides.apply(tree, settings, Recipe)
    if problems:
        raise SystemExit("\n".join(problems))
    return tree


def trained(tree: dict[str, Any], store: Path) -> dict[str, Any]:
    """Losses before and after, and what it took; the rows are stored in a folder of their own."""
    from gemmalocal.backends import open_backend
    from gemmalocal.engine import loop
    from gemmalocal.engine.checkpoints import TrainState
    from gemmalocal.engine.pause import PauseControl
    from gemmalocal.jobs.events import Evaluated, Step
    from gemmalocal.pipelines.shared.budget import budget, load_of
    from gemmalocal.pipelines.shared.loading import Prepared, prepare
    from gemmalocal.planning.pressure import Level, Strain
    from gemmalocal.recipe.schema import Recipe

    checked, prepared = Recipe.model_validate(tree), Prepared()
    for _ in prepare(checked, prepared, store):
        pass
    backend = open_backend(checked.backend)
    decided = budget(checked, prepared.folder, load_of(prepared.train, checked), backend, {}, False)
    trainer = backend.trainer(prepared.folder, checked, backend.group())
    trainer.shapes = decided.shapes
    steps = checked.train.steps or 0
    brake = PauseControl(lambda: False, lambda: Strain(Level.NORMAL))
    held_out, tokens, start = [], 0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as late:
        run = loop.TrainingRun(prepared.train, prepared.held_out, checked.train, steps, Path(folder))
        for event in loop.train(run, trainer, TrainState(), brake, lambda step: iter(())):
            if isinstance(event, Evaluated):
                held_out.append(event.loss)
            if isinstance(event, Step):
                tokens += event.tokens
                if event.step > steps - max(1, steps // 3):
                    trainer.save(new_folder(Path(late) / f"{event.step}"))
        seconds = round(time.perf_counter() - start, 1)
        trainer.load(averaged(Path(late)))
        mean = loop.measured(run, trainer)[0]
    return {"before": held_out[0], "after": held_out[-1], "averaged": mean, "tokens": tokens, "seconds": seconds}


def new_folder(path: Path) -> Path:
    """A folder that is there now."""
    path.mkdir()
    return path


def averaged(folder: Path) -> Path:
    """An adapter whose weights are the means of those in a folder, each in one of its own."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    adapters = sorted(folder.iterdir())
    weights = [load_file(adapter / "adapter_model.safetensors") for adapter in adapters]
    mean = {name: np.mean([each[name] for each in weights], axis=0) for name in weights[0]}
    target = new_folder(folder / "mean")
    save_file(mean, target / "adapter_model.safetensors")
    (target / "adapter_config.json").write_bytes((adapters[0] / "adapter_config.json").read_bytes())
    return target


def decay_by(beta2: float) -> None:
    """Let AdamW forget squared gradients at another pace than MLX's own (0.999)."""
    from functools import partial

    from gemmalocal.backends.mlx import device

    device.prepare()  # before MLX is imported
    import mlx.optimizers

    mlx.optimizers.AdamW = partial(mlx.optimizers.AdamW, betas=[0.9, beta2])


def named_rows(given: str) -> tuple[str, str, list[str]]:
    """Name, rows and keys of `NAME=ROWS[::KEY=VALUE]...`."""
    name, _, source = given.partition("=")
    rows, *settings = source.split("::")
    return name, rows, settings


def known(results: Path) -> list[dict[str, Any]]:
    """What a file of one JSON object a line holds so far."""
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def planned(arguments: argparse.Namespace) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What tells a run from the others, and its recipe."""
    for seed in range(arguments.seeds):
        for given in arguments.sets:
            name, rows, settings = named_rows(given)
            for rate in arguments.rates:
                own = [f"train.learning_rate={rate}", f"train.seed={seed}", f"train.steps={arguments.steps}"]
                own += [f"lora.rank={arguments.rank}", f"lora.alpha={2 * arguments.rank}"]
                key = {"set": name, "seed": seed, "rate": rate, "rank": arguments.rank, "steps": arguments.steps}
                key |= {} if arguments.beta2 is None else {"beta2": arguments.beta2}
                yield key | {"set_keys": sorted(arguments.set)}, recipe(rows, settings + own + arguments.set)


def table(runs: list[dict[str, Any]]) -> Iterator[str]:
    """A line a set: the held-out loss of each rate, over the seeds."""
    rates = sorted({run["rate"] for run in runs})
    yield " | ".join(["set, rank", "before", *(f"{rate:g}" for rate in rates), "best"])
    lines = defaultdict[tuple[Any, ...], list[dict[str, Any]]](list)
    for run in runs:
        keys = [*run["set_keys"], *([f"beta2={run['beta2']:g}"] if "beta2" in run else [])]
        lines[run["set"], run["rank"], tuple(keys)].append(run)
    for (name, rank, keys), of_line in sorted(lines.items()):
        losses = {rate: [run["after"] for run in of_line if run["rate"] == rate] for rate in rates}
        means = {rate: sum(values) / len(values) for rate, values in losses.items() if values}
        cells = [f"{means[rate]:.4f}" if rate in means else "" for rate in rates]
        title = f"{name}, {rank} {' '.join(keys)}".strip()
        yield " | ".join([title, f"{of_line[0]['before']:.4f}", *cells, f"{min(means, key=means.__getitem__):g}"])


def main() -> None:
    """Make the runs that are not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("sets", nargs="+", metavar="NAME=ROWS[::KEY=VALUE]...")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--rates", type=lambda text: [float(rate) for rate in text.split(",")], default=RATES)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--beta2", type=float)
    arguments = parser.parse_args()
    if arguments.beta2 is not None:
        decay_by(arguments.beta2)
    runs = known(arguments.results)
    with tempfile.TemporaryDirectory() as stores:
        for key, tree in planned(arguments):
            if any(run.items() >= key.items() and run.get("beta2") == key.get("beta2") for run in runs):
                continue
            store = Path(stores) / f"{key['set']}-{key['seed']}"
            runs.append(key | trained(tree, store))
            with arguments.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(runs[-1]) + "\n")
            print(runs[-1], flush=True)
    print("\n".join(table(runs)))


if __name__ == "__main__":
    main()
