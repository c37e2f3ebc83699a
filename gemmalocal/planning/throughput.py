"""How fast this machine has trained, out of the events of its past runs; and how long a run will take by that."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from gemmalocal.jobs import history
from gemmalocal.jobs.events import Step

LOOKS = 20  # newest runs that are read
RECENT = 20  # steps that tell the speed of now
FORWARD = 0.5  # of a training step's time: a held-out row has no backward pass


@dataclass(frozen=True)
class Pace:
    """`seconds` for a supervised token while training, measured in `run`, which tuned the same `model`."""

    run: str
    model: str
    seconds: float

    def steps(self, seconds: float, tokens_per_step: float, evaluate_every: int, held_out_tokens: int) -> int:
        """Optimizer steps for which so many seconds are enough, with an evaluation before, after and in between."""
        evaluation = FORWARD * self.seconds * held_out_tokens
        return max(1, int((seconds - 2 * evaluation) / (self.seconds * tokens_per_step + evaluation / evaluate_every)))

    def estimate(self, steps: int, tokens_per_step: float, evaluations: int, held_out_tokens: int) -> float:
        """Seconds of a run of so many optimizer steps and evaluations; loading and saving are left out.

        `tokens_per_step` are supervised tokens, and so are `held_out_tokens`, of one evaluation.
        """
        return self.seconds * (steps * tokens_per_step + FORWARD * evaluations * held_out_tokens)


def seconds_per_token(steps: list[Step]) -> float | None:
    """The median of seconds for a supervised token; the first step, which also warms up, is left out.

    None where there is no other.
    """
    return median(step.seconds / max(1, step.tokens) for step in steps[1:]) if len(steps) > 1 else None


def pace_of_model(model: str) -> tuple[Pace | None, bool]:
    """The pace of the newest run of a model that ended well, and whether this machine has trained anything at all.

    The pace is None if none of the newest `LOOKS` runs tells it.
    """
    trained = False
    for folder in history.list_runs()[:LOOKS]:
        state = history.read(folder)
        seconds = seconds_per_token(state.steps)
        if seconds is None or state.status not in ("done", "early", "stopped"):
            continue
        trained = True
        if history.known_spec(folder).get("model") == model:
            return Pace(folder.name, model, seconds), trained
    return None, trained


def seconds_left(steps: list[Step]) -> float:
    """Seconds until the last step at the pace of the newest `RECENT`, 0 without any; evaluations are left out.

    Of a run of a given time what is left of that.
    """
    if steps and steps[-1].left is not None:
        return steps[-1].left
    recent = steps[-RECENT:]
    return (recent[-1].steps - recent[-1].step) * sum(step.seconds for step in recent) / len(recent) if recent else 0.0


def tokens_per_second(steps: list[Step]) -> float:
    """Supervised tokens a second, over the newest `RECENT` steps; 0 without any."""
    recent = steps[-RECENT:]
    return sum(step.tokens for step in recent) / max(1e-9, sum(step.seconds for step in recent))


def duration(seconds: float) -> str:
    """Seconds as a person says them: `45 s`, `12 min`, `1.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
