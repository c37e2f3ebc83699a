"""Which checkpoints exist, which are whole, which is best, which may go."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from safetensors import SafetensorError, safe_open

from gemmalocal.backends import full_model, peft_adapter
from gemmalocal.backends.protocol import Trainer
from gemmalocal.errors import ModelError
from gemmalocal.files import atomic, hashes

STATE = "state.json"  # the standing, and each file's size and hash
FILES = "files"  # the key of the hashes
DAMAGED = "damaged-"  # before the name of a checkpoint that was left out, until training has come so far again


@dataclass
class TrainState:
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
    time: dict[str, float] = field(default_factory=dict)  # of a run in a box of time: see `Timed.record`


def publish(folder: Path, trainer: Trainer, state: TrainState, keep: int) -> Path:
    """Write a checkpoint, then drop those that are neither the best nor among the `keep` newest.

    Only planned ones count, and what was not planned goes with the next: so a run that was stopped and resumed has the
    same ones to go back to as a run that was not.
    """
    path = path_of(folder, state.step)
    with atomic.new_folder(path) as aside:
        trainer.save(aside)
        record = {**asdict(state), FILES: _marks(aside)}
        (aside / STATE).write_text(hashes.seal(record), encoding="utf-8")
    kept = {*_planned(folder)[-keep:], path, path_of(folder, state.best_step)}
    for old in existing(folder):
        if old not in kept:
            atomic.remove(old)
    for damaged in _set_aside(folder):
        if _step(damaged) <= state.step:
            atomic.remove(damaged)
    return path


def _marks(folder: Path) -> hashes.FileMarks:
    """Hashes of what was just written, while the disk takes it: what the disk needs longer for costs no time."""
    with ThreadPoolExecutor(1) as beside:
        marks = beside.submit(hashes.marks, folder)
        for path in folder.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        return marks.result()


def path_of(folder: Path, step: int) -> Path:
    """The folder of the checkpoint of a step, whether there is one or not."""
    return folder / f"{step:06d}"


def existing(folder: Path) -> list[Path]:
    """All checkpoints, oldest first; `damage` tells which are whole."""
    return sorted((path for path in folder.glob("[0-9]*") if path.name.isdecimal()), key=_step)


def _set_aside(folder: Path) -> list[Path]:
    return list(folder.glob(f"{DAMAGED}[0-9]*"))


def _step(path: Path) -> int:
    return int(path.name.removeprefix(DAMAGED))


def standing(path: Path) -> TrainState:
    """What a checkpoint says of its run; raises `ModelError` if that is damaged."""
    try:
        return _read(path)[0]
    except hashes.Damaged as error:
        raise _no_use(path, str(error)) from error


def _read(path: Path) -> tuple[TrainState, hashes.FileMarks | None]:
    """Of a checkpoint, and the marks of its files, which older versions did not keep; raises `hashes.Damaged`."""
    try:
        values, sealed = hashes.unseal((path / STATE).read_text(encoding="utf-8"))
        marks = values.pop(FILES, None)
        if sealed != isinstance(marks, dict):
            raise hashes.Damaged(hashes.CHANGED)
        return TrainState(**values), marks
    except FileNotFoundError:
        raise hashes.Damaged(f"{STATE} is missing") from None
    except (OSError, UnicodeDecodeError):
        raise hashes.Damaged(f"{STATE} cannot be read") from None
    except TypeError:
        raise hashes.Damaged(f"{STATE} {hashes.CHANGED}") from None
    except hashes.Damaged as error:
        raise hashes.Damaged(f"{STATE} {error}") from None


def damage(path: Path) -> str:
    """What is wrong with a checkpoint, in a few words; empty if it is whole."""
    try:
        _, marks = _read(path)
    except hashes.Damaged as error:
        return str(error)
    return hashes.describe(hashes.damage(path, marks) if marks is not None else dict(_broken(path)))


def _broken(path: Path) -> Iterator[tuple[str, str]]:
    """Files of a checkpoint without hashes that cannot be opened."""
    if not any((path / name).is_file() for name in (peft_adapter.WEIGHTS, full_model.WEIGHTS)):
        yield peft_adapter.WEIGHTS, "is missing"
    for file in sorted(path.iterdir()):
        try:
            if file.suffix == ".safetensors":
                with safe_open(file, "numpy"):
                    pass
            elif file.suffix == ".json":
                json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, SafetensorError):
            yield file.name, "is damaged"


def settle(folder: Path) -> tuple[int, list[str]]:
    """Put checkpoints that are damaged out of the way, down to the newest whole one: its step, and what to tell.

    If none is whole they stay where they are, and `restore` says so.
    """
    damaged: dict[Path, str] = {}
    for path in reversed(existing(folder)):
        if not (reason := damage(path)):
            break
        damaged[path] = reason
    else:
        return 0, []
    for damaged_path in damaged:
        aside = damaged_path.with_name(f"{DAMAGED}{damaged_path.name}")
        if aside.exists():
            atomic.remove(aside)
        damaged_path.rename(aside)
    return _step(path), [
        f"the checkpoint of step {_step(damaged_path)} is damaged ({reason}): it is left out, and training goes on "
        f"from step {_step(path)}"
        for damaged_path, reason in damaged.items()
    ]


def restore(folder: Path, trainer: Trainer) -> TrainState:
    """Take up the newest checkpoint; raises `ModelError` if it is damaged."""
    path = checked(existing(folder)[-1])
    trainer.restore(path)
    return standing(path)


def checked(path: Path) -> Path:
    """A checkpoint that is whole; raises `ModelError`."""
    if reason := damage(path):
        raise _no_use(path, reason)
    return path


def _no_use(path: Path, reason: str) -> ModelError:
    whole_steps = [
        str(_step(checkpoint)) for checkpoint in existing(path.parent) if checkpoint != path and not damage(checkpoint)
    ]
    train_again = f"None of this run is whole. Train it again: gemmalocal train {path.parent.parent / 'recipe.yaml'}"
    remedy = f"Whole are those of steps {', '.join(whole_steps)}." if whole_steps else train_again
    return ModelError(f"The checkpoint of step {_step(path)} is damaged: {reason}.", remedy)


def go_back(folder: Path, state: TrainState, factor: float) -> str:
    """Make the checkpoint to go back to from bad steps the newest, with `factor` and the roll-backs in its state.

    Newer ones are dropped: those that were not planned, and one that no good step followed, for it may be what went
    wrong. The best one stays in any case; before there is a best, that is the untrained adapter (`best_step` 0).
    Returns what to tell of damaged ones. Raises `ModelError` if none is whole.
    """
    *older, path = _planned(folder)
    notices = []
    while older and (
        (reason := damage(path)) or (_step(path) != state.best_step and _step(path) >= state.step - state.bad)
    ):
        notices += [f"; the checkpoint of step {_step(path)} is damaged ({reason})"] if reason else []
        path = older.pop()
    checked(path)
    for newer in existing(folder):
        if _step(newer) > _step(path):
            atomic.remove(newer)
    saved, marks = _read(path)
    record = asdict(replace(saved, bad=0, factor=factor, rollbacks=state.rollbacks + 1, time=state.time))
    atomic.write_text(path / STATE, json.dumps(record) if marks is None else hashes.seal({**record, FILES: marks}))
    return "".join(notices)


def _planned(folder: Path) -> list[Path]:
    """Those by the recipe's plan, oldest first, without those that do not even say so."""
    planned = []
    for path in existing(folder):
        with suppress(hashes.Damaged):
            planned += [path] if _read(path)[0].planned else []
    return planned


def chosen(folder: Path) -> tuple[Path, str]:
    """The checkpoint whose adapter is a run's result, and what to tell if it should have been another one.

    That is the best, or the newest if none beat the untrained model, or if the best is damaged.
    """
    newest = existing(folder)[-1]
    best = standing(newest).best_step
    if not best or best == _step(newest):
        return newest, ""
    if not (reason := damage(path_of(folder, best))):
        return path_of(folder, best), ""
    return newest, f"the best checkpoint, of step {best}, is damaged ({reason}): that of step {_step(newest)} is taken"


def deliver(checkpoint: Path, target: Path) -> None:
    """Copy a checkpoint's adapter to where the run's result is looked for."""
    with atomic.new_folder(target) as aside:
        for name in (peft_adapter.WEIGHTS, peft_adapter.CONFIG):
            shutil.copyfile(checkpoint / name, aside / name)
