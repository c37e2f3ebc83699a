"""What the loop does when training goes wrong: skip, go back, give up; and that a resume changes none of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.engine import checkpoints, loop
from gemmalocal.engine.pause import PauseControl
from gemmalocal.errors import TrainingDiverged
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Event, Finished, Rollback, Skipped, Started, Step
from gemmalocal.planning.pressure import Level, Strain
from tests.engine.toy import Toy, work


def attempt(job: loop.TrainingRun, toy: Toy, stop_at: int = 0) -> Iterator[Event]:
    """One process's part of a run, from the newest checkpoint; asked to stop after so many steps of its own."""
    asked = iter(range(1, 1_000_000))
    brake = PauseControl(lambda: next(asked) == stop_at, lambda: Strain(Level.NORMAL))
    standing = loop.resume(job, toy)
    yield Started("train", 1, 1, {}, standing.step)
    yield from loop.train(job, toy, standing, brake, lambda step: iter(()))


def only(kind: type[Any], events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_a_step_that_is_not_finite_is_skipped_and_changes_nothing(tmp_path: Path) -> None:
    toy = Toy(plant=lambda loss, draws: math.nan if draws == 6 else loss)
    weights = []
    for event in attempt(work(tmp_path, 10), toy):
        if isinstance(event, Step | Skipped):
            weights.append((event.step, toy.weight, toy.momentum))
        if isinstance(event, Skipped):
            assert event.step == 6
            assert "loss is nan" in event.why
    assert [step for step, *_ in weights] == list(range(1, 11))
    assert weights[5][1:] == weights[4][1:]
    assert weights[6][1:] != weights[5][1:]


def test_three_in_a_row_go_back_to_the_checkpoint_at_half_the_rate(tmp_path: Path) -> None:
    rates: list[float] = []
    toy = Toy(plant=lambda loss, draws: math.inf if draws >= 7 and not (rates and rates[-1] < 0.3) else loss)
    events = []
    for event in attempt(work(tmp_path, 12, evaluate_every=5), toy):
        events.append(event)
        rates += [0.3 * event.factor] if isinstance(event, Rollback) else []
    (back,) = only(Rollback, events)
    assert (back.step, back.to, back.factor) == (9, 5, 0.5)
    assert [event.step for event in only(Skipped, events)] == [7, 8, 9]
    steps = only(Step, events)
    assert [step.step for step in steps] == [1, 2, 3, 4, 5, 6, *range(6, 13)]
    assert [step.learning_rate for step in steps] == [0.3] * 6 + [0.15] * 7
    assert events[-1] == Finished("done", "12 of 12 steps")
    assert checkpoints.standing(checkpoints.existing(tmp_path)[-1]).factor == 0.5


@pytest.mark.parametrize("held_out", [0, 3])
def test_an_explosion_before_any_checkpoint_starts_again(tmp_path: Path, held_out: int) -> None:
    toy = Toy()
    events = list(attempt(work(tmp_path, 40, held_out, learning_rate=3), toy))
    (back,) = only(Rollback, events)
    assert (back.to, back.factor) == (0, 0.5)
    assert "far above" in back.why
    assert events[-1] == Finished("done", "40 of 40 steps")
    assert abs(toy.weight) < 1e-3


@pytest.mark.parametrize("rate", [30, 1e30])
def test_what_cannot_be_mended_ends_with_a_sentence_and_whole_checkpoints(tmp_path: Path, rate: float) -> None:
    events: list[Event] = []
    with pytest.raises(TrainingDiverged, match="after 3 roll-backs") as caught:
        events.extend(attempt(work(tmp_path, 40, learning_rate=rate), Toy()))
    assert [back.factor for back in only(Rollback, events)] == [0.5, 0.25, 0.125]
    assert "less than 0.125 of this train.learning_rate" in caught.value.hint
    again = Toy(weight=7.0)
    assert loop.resume(work(tmp_path, 40), again).step == 0
    assert again.weight == 2.0


def test_a_checkpoint_that_no_good_step_followed_is_not_gone_back_to(tmp_path: Path) -> None:
    toy = Toy(ruin=lambda rate, draws: draws == 8 and rate > 0.2)
    events = list(attempt(work(tmp_path, 12, 0, save_every=2), toy))
    (back,) = only(Rollback, events)
    assert (back.step, back.to) == (11, 6)  # step 8 ruined the weights, and was saved
    assert events[-1] == Finished("done", "12 of 12 steps")
    assert math.isfinite(toy.weight)


@pytest.mark.parametrize("keep", [1, 2])
@pytest.mark.parametrize("case", ["explosion", "ruin"])
def test_resumed_equals_never_interrupted_across_a_roll_back(tmp_path: Path, case: str, keep: int) -> None:
    def fresh() -> Toy:
        if case == "explosion":
            return Toy(noise=0.1)
        return Toy(noise=0.1, ruin=lambda rate, draws: draws == 6 and rate > 0.2)

    def job(name: str) -> loop.TrainingRun:
        return work(tmp_path / name, 14, learning_rate=3 if case == "explosion" else 0.3, save_every=3, keep=keep)

    truth = list(attempt(job("whole"), fresh()))
    assert only(Rollback, truth)
    whole = folded(truth)
    for cut in range(1, len(truth)):
        name = f"killed-{cut}"
        seen = list(islice(attempt(job(name), fresh()), cut))
        resumed = folded([*seen, *attempt(job(name), fresh())])
        assert resumed.steps == whole.steps, f"killed after {truth[cut - 1]}"
        assert resumed.evaluations == whole.evaluations
    for cut in range(1, 17):
        name = f"stopped-{cut}"
        seen = list(attempt(job(name), fresh(), stop_at=cut))
        resumed = folded([*seen, *attempt(job(name), fresh())])
        assert resumed.steps == whole.steps, f"stopped after {cut} steps"
        assert resumed.evaluations == whole.evaluations


def folded(events: list[Event]) -> history.JobState:
    """The history of some events, without what a clock says."""
    state = history.JobState()
    for event in events:
        if isinstance(event, Step):
            event = Step(**{**vars(event), "seconds": 0.0})
        history.fold(state, event)
    return state


def test_ordinary_noise_and_single_spikes_do_not_trip(tmp_path: Path) -> None:
    def spiky(loss: float, draws: int) -> float:
        return 50 * loss if draws % 7 in (0, 1) else loss

    events = list(attempt(work(tmp_path, 600, 0), Toy(noise=0.5, plant=spiky)))
    assert not only(Rollback, events) + only(Skipped, events)
    assert events[-1] == Finished("done", "600 of 600 steps")


def test_a_model_that_is_broken_before_training_is_not_trained(tmp_path: Path) -> None:
    events: list[Event] = []
    with pytest.raises(TrainingDiverged, match="before any training"):
        events.extend(attempt(work(tmp_path, 5), Toy(weight=math.inf)))
    assert not only(Step, events)
    assert not checkpoints.existing(tmp_path)


def test_a_held_out_loss_that_is_no_number_is_never_the_best(tmp_path: Path) -> None:
    events = list(attempt(work(tmp_path, 5), Toy(ruin=lambda rate, draws: draws == 5)))
    assert checkpoints.chosen(tmp_path)[0].name == "000004"
    assert any("held-out loss at step 5 is nan" in getattr(event, "text", "") for event in events)
