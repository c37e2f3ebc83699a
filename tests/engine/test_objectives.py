"""Objectives against TRL's own functions, and their slopes against finite differences."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemmalocal.engine import objectives
from gemmalocal.engine.objectives.answers import Answers
from gemmalocal.engine.tally import tally
from gemmalocal.recipe.objective import JUDGING, ObjectiveSpec, completed

GOLDENS = np.load(Path(__file__).parent / "goldens" / "objectives.npz", allow_pickle=False)
DIVERGENCE = 0.7
ASKED: dict[str, dict[str, Any]] = {  # as in goldens/objectives_by_trl.py
    "dpo": {"kind": "dpo"},
    "dpo smoothed": {"kind": "dpo", "beta": 0.5, "label_smoothing": 0.2},
    "ipo": {"kind": "ipo"},
    "orpo": {"kind": "orpo", "beta": 0.3},
    "simpo": {"kind": "simpo"},
    "kto": {"kind": "kto", "undesirable_weight": 1.5},
}


def spec(asked: dict[str, Any]) -> ObjectiveSpec:
    return ObjectiveSpec.model_validate(completed({"objective": asked})["objective"])


def answers(kept: slice = slice(None)) -> Answers:
    logp, tokens, reference = (GOLDENS[name][kept] for name in ("logp", "tokens", "reference"))
    return Answers(logp, tokens, reference, np.arange(len(logp)) % 2 == 0, DIVERGENCE)


@pytest.mark.parametrize("name", ASKED)
def test_losses_and_slopes_equal_trl(name: str) -> None:
    judged = objectives.of(spec(ASKED[name]))(answers())
    np.testing.assert_allclose(judged.losses, GOLDENS[f"{name} losses"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(judged.slopes, GOLDENS[f"{name} slopes"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["sft", *JUDGING])
def test_slopes_are_those_of_the_summed_losses(kind: str) -> None:
    judge, given, step = objectives.of(spec({"kind": kind})), answers(slice(40)), 1e-5
    slopes = judge(given).slopes
    for place in range(40):
        moved = np.zeros(40)
        moved[place] = step
        above, below = (
            judge(given._replace(log_probabilities=given.log_probabilities + side * moved)).losses.sum()
            for side in (1, -1)
        )
        assert slopes[place] == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("kind", ["sft", *JUDGING])
@pytest.mark.parametrize("logp", [-1e4, -1e-9, 0.0])
def test_no_answer_is_too_sure_or_too_unlikely(kind: str, logp: float) -> None:
    extreme = Answers(np.array([logp, -5.0]), np.ones(2), np.array([-5.0, logp]), np.array([True, False]), 0.0)
    with np.errstate(all="raise", under="ignore"):
        judged = objectives.of(spec({"kind": kind}))(extreme)
    assert all(np.isfinite(values).all() for values in judged)


@pytest.mark.parametrize("kind", JUDGING)
def test_a_step_down_the_slopes_lifts_the_chosen_over_the_rejected(kind: str) -> None:
    judge, before = objectives.of(spec({"kind": kind})), answers()
    after = before._replace(log_probabilities=before.log_probabilities - 0.5 * judge(before).slopes)
    group = 1 if kind == "kto" else 2
    was, is_now = (tally(given, judge(given), group, True).figures for given in (before, after))
    assert is_now["margin"] > was["margin"]
    assert is_now["accuracy"] >= was["accuracy"]


def test_a_kind_that_judges_answers_is_in_the_table() -> None:
    assert objectives.OBJECTIVES.keys() == {"sft", *JUDGING}
    assert isinstance(objectives.of(spec({"kind": "dpo"})), partial)
