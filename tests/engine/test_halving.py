"""Who goes on in a search, and for how long."""

from __future__ import annotations

import math

import pytest

from gemmalocal.engine.halving import Rung, best, rungs, survivors


@pytest.mark.parametrize(
    ("trials", "steps", "planned"),
    [
        (4, 320, [Rung(4, 40), Rung(2, 80)]),
        (5, 400, [Rung(5, 21), Rung(3, 42), Rung(2, 84)]),
        (2, 40, [Rung(2, 20)]),
        (1, 40, [Rung(1, 40)]),
        (4, 40, [Rung(4, 10)]),  # two rungs would begin with 5 steps
        (4, 2, [Rung(4, 1)]),
    ],
)
def test_each_rung_has_half_the_trials_and_twice_the_steps(trials: int, steps: int, planned: list[Rung]) -> None:
    assert rungs(trials, steps) == planned


def test_the_lowest_losses_go_on_and_what_diverged_does_not() -> None:
    losses = {0: 2.5, 1: 2.1, 2: math.inf, 3: 2.3, 4: 2.1}
    assert survivors(losses, 2) == [1, 4]
    assert survivors(losses, 5) == [0, 1, 3, 4]
    assert best(losses) == 1
    assert best({0: math.inf}) is None
