"""What this machine measured beyond the fit plan's arithmetic, out of the events of its past runs."""

from __future__ import annotations

from statistics import median

from gemmalocal.jobs import history
from gemmalocal.jobs.history import JobState

LOOKS = 20  # newest runs that are read
LEAST, MOST = 0.5, 2.0  # a factor beyond says more about an odd run than about the machine


def corrections(engine: str, width: int) -> dict[bool, float]:
    """By what activations and head are to be multiplied, without and with checkpointing.

    The median of past runs of the same kind; 1 without any.
    """
    states = [history.read(folder) for folder in history.list_runs()[:LOOKS]]
    return {checkpointing: _correction(states, engine, width, checkpointing) for checkpointing in (False, True)}


def _correction(states: list[JobState], engine: str, width: int, checkpointing: bool) -> float:
    factors = [factor for state in states if (factor := _factor(state, engine, width, checkpointing)) is not None]
    return min(MOST, max(LEAST, median(factors))) if factors else 1.0


def _factor(state: JobState, engine: str, width: int, checkpointing: bool) -> float | None:
    """Measured over expected, of what is neither weights nor trained."""
    plan = state.plan
    like = {"engine": engine, "width": width, "checkpointing": checkpointing}
    if not state.steps or any(plan.get(key) != value for key, value in like.items()):
        return None
    # Bytes: weights and adapter are known exactly, so what was measured beyond them is activations and head.
    moving = plan["activations"] + plan["head"]
    measured = max(step.memory for step in state.steps) - plan["weights"] - plan["adapter"]
    return float(measured / moving) if moving > 0 and measured > 0 else None
