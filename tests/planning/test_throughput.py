"""How long it will take, out of past runs; and honestly nothing where there are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gemmalocal.jobs.event_lines import encode
from gemmalocal.jobs.events import Event, Finished, Started, Step
from gemmalocal.planning import throughput


def record(workspace: Path, name: str, model: str, seconds: list[float], outcome: str | None = "done") -> None:
    folder = workspace / "runs" / name
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"kind": "train", "spec": {"model": model}}))
    events: list[Event] = [Started("train", 1, 1)]
    events += [Step(n, len(seconds), 1.0, 100, 1e-4, 1.0, spent, 0) for n, spent in enumerate(seconds, 1)]
    events += [Finished(outcome)] if outcome else []
    (folder / "events.jsonl").write_text("".join(encode(event, 0) + "\n" for event in events))


def test_a_machine_that_has_not_trained_says_so(workspace: Path) -> None:
    assert throughput.pace_of_model("m") == (None, False)
    record(workspace, "killed", "m", [9, 1, 1], outcome=None)
    record(workspace, "short", "m", [9])
    assert throughput.pace_of_model("m") == (None, False)
    record(workspace, "other", "n", [9, 1, 1])
    assert throughput.pace_of_model("m") == (None, True)


def test_the_median_without_the_first_step(workspace: Path) -> None:
    record(workspace, "a", "m", [60, 1, 2, 3, 90])
    found, trained = throughput.pace_of_model("m")
    assert trained
    assert found is not None
    assert found.seconds == pytest.approx(2.5 / 100)
    assert found.estimate(steps=10, tokens_per_step=100, evaluations=0, held_out_tokens=0) == pytest.approx(25)
    assert found.estimate(10, 100, 2, 200) == pytest.approx(25 + 0.5 * 2 * 200 * 0.025)
