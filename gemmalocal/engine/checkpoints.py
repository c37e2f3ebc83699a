"""Which checkpoints exist, which is best, which may go; each is whole or not there."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
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
    start: float | None = None  # loss before training, nats a token
    bad: int = 0  # steps in a row that were skipped or exploded
    factor: float = 1.0  # of the recipe's learning rates; halved by each roll-back
    rollbacks: int = 0
    planned: bool = True  # saved by the recipe's plan; false if only because of a stop on the way


def publish(folder: Path, trainer: Trainer, standing: Standing, keep: int) -> Path:
    """Write a checkpoint, then drop those that are neither the best nor among the `keep` newest.

    Only planned ones count, and what was not planned goes with the next: so a run that was stopped and resumed has the
    same ones to go back to as a run that was not.
    """
    path = folder / f"{standing.step:06d}"
    with atomic.new_folder(path) as aside:
        trainer.save(aside)
        (aside / STATE).write_text(json.dumps(asdict(standing)), encoding="utf-8")
    kept = {*_planned(folder)[-keep:], path, folder / f"{standing.best_step:06d}"}
    for old in existing(folder):
        if old not in kept:
            shutil.rmtree(old)
    return path


def existing(folder: Path) -> list[Path]:
    """All whole checkpoints, oldest first."""
    return sorted(path for path in folder.glob("[0-9]*") if (path / STATE).is_file())


def standing(path: Path) -> Standing:
    """What a checkpoint says of its run."""
    return Standing(**json.loads((path / STATE).read_text(encoding="utf-8")))


def restore(folder: Path, trainer: Trainer) -> Standing:
    """Take up the newest checkpoint."""
    path = existing(folder)[-1]
    trainer.restore(path)
    return standing(path)


def go_back(folder: Path, now: Standing, factor: float) -> None:
    """Make the checkpoint to go back to from bad steps the newest, with `factor` and the roll-backs in its state.

    Newer ones are dropped: those that were not planned, and one that no good step followed, for it may be what went
    wrong. The best one stays in any case; before there is a best, that is the untrained adapter (`best_step` 0).
    """
    *older, path = _planned(folder)
    while older and int(path.name) != now.best_step and int(path.name) >= now.step - now.bad:
        path = older.pop()
    for newer in existing(folder):
        if newer.name > path.name:
            shutil.rmtree(newer)
    found = replace(standing(path), bad=0, factor=factor, rollbacks=now.rollbacks + 1)
    atomic.write_text(path / STATE, json.dumps(asdict(found)))


def _planned(folder: Path) -> list[Path]:
    return [path for path in existing(folder) if standing(path).planned]


def chosen(folder: Path) -> Path:
    """The checkpoint whose adapter is a run's result: the best, or the newest if none beat the untrained model."""
    newest = existing(folder)[-1]
    best = standing(newest).best_step
    return folder / f"{best:06d}" if best else newest


def deliver(checkpoint: Path, target: Path) -> None:
    """Copy a checkpoint's adapter to where the run's result is looked for."""
    with atomic.new_folder(target) as aside:
        for name in (adapters.WEIGHTS, adapters.CONFIG):
            shutil.copyfile(checkpoint / name, aside / name)
