"""The contract: what is written is read, and nothing that is read raises."""

from __future__ import annotations

from gemmalocal.jobs import history
from gemmalocal.jobs.event_lines import decode, encode
from gemmalocal.jobs.events import KINDS, Evaluated, Event, Finished, Rollback, Saved, Skipped, Started, Step, Unknown


def step(number: int, loss: float = 1.0) -> Step:
    return Step(number, 10, loss, 5, 1e-4, 0.5, 0.1, 1000)


def test_round_trip() -> None:
    news = (Skipped(3, "why"), Rollback(9, 6, 0.5, "why"), Step(1, 2, 3.0, 4, 5.0, 6.0, 7.0, 8, 9, 10))
    for event in (step(3), Evaluated(3, 1.5, 20), Saved(3, "x", True), Started("train", 1, 2, {"mlx": "0"}, 3), *news):
        assert decode(encode(event, 12.0)) == event


def test_foreign_lines_are_unknown_and_extra_keys_are_ignored() -> None:
    for line in ("", "{", "[]", '{"event": "dance"}', '{"event": "step"}', "null"):
        assert isinstance(decode(line), Unknown)
    assert decode('{"event": "finished", "outcome": "done", "message": "", "new": 1}') == Finished("done")
    assert set(KINDS) >= {"started", "step", "evaluated", "saved", "sample", "finished", "failed"}


def test_a_new_attempt_takes_back_what_was_lost() -> None:
    state = history.JobState()
    events: list[Event] = [Started("train", 1, 1), *(step(number) for number in range(1, 6)), Evaluated(4, 2.0, 3)]
    events += [Started("train", 2, 2, {}, 3), step(4, 0.5)]
    for event in events:
        history.fold(state, event)
    assert [item.step for item in state.steps] == [1, 2, 3, 4]
    assert state.evaluations == []
    assert state.status == "killed"


def test_steps_of_older_runs_are_read() -> None:
    line = '{"event": "step", "step": 1, "steps": 2, "loss": 3.0, "tokens": 4, "learning_rate": 0.1, "grad_norm": 1.0, '
    event = decode(line + '"seconds": 0.5, "memory": 7}')
    assert isinstance(event, Step)
    assert (event.memory, event.active, event.cached) == (7, 0, 0)


def test_a_roll_back_takes_back_what_was_learned_and_remembers_why() -> None:
    state = history.JobState()
    events: list[Event] = [Started("train", 1, 1), Evaluated(0, 4.0, 3), *(step(number) for number in range(1, 7))]
    events += [Evaluated(4, 2.0, 3), Evaluated(6, 1.0, 3), Skipped(7, "nan"), Rollback(9, 4, 0.5, "why"), step(5, 0.5)]
    for event in events:
        history.fold(state, event)
    assert [item.step for item in state.steps] == [1, 2, 3, 4, 5]
    assert [item.step for item in state.evaluations] == [0, 4]
    assert [item.step for item in state.skipped] == [7]
    assert [item.factor for item in state.rollbacks] == [0.5]
