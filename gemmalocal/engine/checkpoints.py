"""Which checkpoints exist, which is best, which may go; each is whole or not there."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from gemmalocal import atomic
from gemmalocal.backends import adapters
from gemmalocal.backends.protocol import Trainer

STATE = "state.json"


@dataclass
class Standing:
    """Where a run stands: what the loop must know to go on as if never interrupted."""

    step: int = 0
    best_step: int = 0
    best_loss: float | None = None
    unimproved: int = 0  # evaluations since the best one


def publish(folder: Path, trainer: Trainer, standing: Standing, keep: int) -> Path:
    """Write a checkpoint, then drop those that are neither the best nor among the `keep` newest."""
    path = folder / f"{standing.step:06d}"
    with atomic.new_folder(path) as aside:
        trainer.save(aside)
        (aside / STATE).write_text(json.dumps(asdict(standing)), encoding="utf-8")
    for old in existing(folder)[:-keep]:
        if int(old.name) != standing.best_step:
            shutil.rmtree(old)
    return path


def existing(folder: Path) -> list[Path]:
    """All whole checkpoints, oldest first."""
    return sorted(path for path in folder.glob("[0-9]*") if (path / STATE).is_file())


def standing(path: Path) -> Standing:
    """What a checkpoint says of its run."""
    return Standing(**json.loads((path / STATE).read_text(encoding="utf-8")))


def deliver(checkpoint: Path, target: Path) -> None:
    """Copy a checkpoint's adapter to where the run's result is looked for."""
    with atomic.new_folder(target) as aside:
        for name in (adapters.WEIGHTS, adapters.CONFIG):
            shutil.copyfile(checkpoint / name, aside / name)
