"""Figures of a run as arrays, and drawn."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gemmalocal.errors import UsageFault
from gemmalocal.jobs.events import Evaluated, Step
from gemmalocal.jobs.history import JobState

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]


WHOLE = ("step", "tokens", "memory")


class Steps(NamedTuple):
    """Of n optimizer steps, (n,) each: `loss` in nats by token, `seconds`, `memory` (the peak) in bytes."""

    step: Counts
    loss: Floats
    tokens: Counts
    learning_rate: Floats
    grad_norm: Floats
    seconds: Floats
    memory: Counts


class Evaluations(NamedTuple):
    """Held-out losses in nats by token, (n,), after `step` (n,) steps."""

    step: Counts
    loss: Floats


def steps(events: Sequence[Step]) -> Steps:
    """Of steps in their order."""
    import numpy as np  # a notebook has it; nobody else loads it here

    kinds: dict[str, Any] = dict.fromkeys(Steps._fields, np.float64) | dict.fromkeys(WHOLE, np.int64)
    columns: list[Any] = [np.array([getattr(event, name) for event in events], kinds[name]) for name in kinds]
    return Steps(*columns)


def evaluations(events: Sequence[Evaluated]) -> Evaluations:
    """Of evaluations in their order."""
    import numpy as np

    return Evaluations(
        np.array([event.step for event in events], np.int64), np.array([event.loss for event in events], np.float64)
    )


def plot(name: str, state: JobState) -> Any:
    """Losses by step as a matplotlib figure; raises `UsageFault` if that is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageFault(
            "plot() draws with matplotlib, which is not installed.", "pip install 'gemmalocal[notebook]'"
        ) from error

    class Shown(Figure):
        """A figure that a notebook shows, with or without pyplot."""

        def _repr_png_(self) -> bytes:
            picture = io.BytesIO()
            self.savefig(picture, format="png")
            return picture.getvalue()

    figure = Shown(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([step.step for step in state.steps], [step.loss for step in state.steps], label="training", alpha=0.6)
    if state.evaluations:
        measured = state.evaluations
        axes.plot([each.step for each in measured], [each.loss for each in measured], "o-", label="held out")
    axes.set(title=name, xlabel="step", ylabel="loss (nats a token)")
    axes.legend()
    return figure
