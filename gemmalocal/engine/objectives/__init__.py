"""Objectives as pure functions of log-probabilities: a page each, and a row in `OBJECTIVES`. No engine knows one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gemmalocal.engine.objectives.answers import Answers, Judged
from gemmalocal.engine.objectives.dpo import dpo
from gemmalocal.engine.objectives.ipo import ipo
from gemmalocal.engine.objectives.kto import kto
from gemmalocal.engine.objectives.orpo import orpo
from gemmalocal.engine.objectives.sft import sft
from gemmalocal.engine.objectives.simpo import simpo
from gemmalocal.recipe.objective import ObjectiveSpec

OBJECTIVES: dict[str, Callable[..., Judged]] = {
    "sft": sft,
    "dpo": dpo,
    "ipo": ipo,
    "orpo": orpo,
    "simpo": simpo,
    "kto": kto,
}


def of(spec: ObjectiveSpec) -> Callable[[Answers], Judged]:
    """The objective that a recipe names, with its settings."""
    return partial(OBJECTIVES[spec.kind], **spec.settings)
