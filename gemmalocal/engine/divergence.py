"""What is done when training goes wrong, by three rules.

1. A step whose loss or gradient is not a finite number is skipped: it changes neither weights nor optimizer.
2. A step whose loss is above `ceiling(start)` has exploded: it does worse, by far, than the model before training.
3. After `PATIENCE` such steps in a row training goes back to the last checkpoint, at half the learning rate. The rate
   stays halved, also in a resumed run. After `MOST_ROLLBACKS` training ends with `TrainingDiverged`.

Ordinary noise does not reach these, a single bad batch is passed over, and overfitting is left to early stopping.
"""

from __future__ import annotations

from pathlib import Path

from gemmalocal.backends.process_group import wait
from gemmalocal.backends.protocol import Trainer, Update
from gemmalocal.engine import checkpoints
from gemmalocal.engine.checkpoints import TrainState
from gemmalocal.errors import TrainingDiverged
from gemmalocal.jobs.events import Rollback

PATIENCE = 3  # bad steps in a row
MOST_ROLLBACKS = 3


def ceiling(start: float) -> float:
    """The loss, in nats a token, above which a step has exploded; `start` is the loss before training."""
    return 2 * start + 1


def trouble(update: Update, start: float | None) -> str:
    """What is wrong with a step; empty if nothing is."""
    if not update.finite:
        return f"its loss is {update.loss:.4g} and its gradient's norm {update.grad_norm:.4g}"
    if start is not None and update.loss > ceiling(start):
        return f"its loss of {update.loss:.4g} is far above the {start:.4g} before training"
    return ""


def roll_back(folder: Path, trainer: Trainer, state: TrainState, reason: str) -> tuple[TrainState, Rollback]:
    """Restore the last checkpoint that is to be trusted; raises `TrainingDiverged` if that was done too often."""
    if state.rollbacks == MOST_ROLLBACKS:
        raise TrainingDiverged(
            f"Training has diverged again after {MOST_ROLLBACKS} roll-backs: at step {state.step} {reason}.",
            f"Start again with less than {state.factor:g} of this train.learning_rate; if that does not help, look "
            "at the rows, or set dtype to float32.",
        )
    if trainer.group.rank == 0:
        reason += checkpoints.go_back(folder, state, state.factor / 2)
    wait(trainer.group)
    restored = checkpoints.restore(folder, trainer)
    return restored, Rollback(
        state.step, restored.step, restored.factor, f"{PATIENCE} bad steps in a row; at the last {reason}"
    )
