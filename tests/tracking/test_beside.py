"""Trackers beside a run that trains: processes of their own, of which one that hangs costs it nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gemmalocal.files import paths
from gemmalocal.jobs import history, processes
from gemmalocal.jobs.processes import Job
from tests.children import until_ended
from tests.here import apart
from tests.tracking.readers import READERS
from tests.tracking.test_tracking import said


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that takes every connection, and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_tracker_that_hangs_costs_the_run_nothing(
    recipe_path: Path, silent_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", silent_server)
    monkeypatch.setenv("GEMMALOCAL_TRACK", "mlflow")
    with recipe_path.open("a") as recipe:
        recipe.write("track: [tensorboard]\n")
    done = apart("train", str(recipe_path), "--name", "told")
    run = paths.runs() / "told"
    hanging = Job(run / "tracking" / "mlflow")
    try:
        assert done.returncode == 0, done.stderr
        assert "mlflow is told of this run as it goes on" in done.stderr
        assert history.read(run).status == "done"
        assert hanging.alive, hanging.log_tail()
    finally:
        hanging.kill()
        until_ended(hanging)
    until_ended(Job(run / "tracking" / "tensorboard"))  # with the run, by itself
    series, _ = READERS["tensorboard"](run)
    assert said(run)["train/loss"] == series["train/loss"]
    assert len(series["train/loss"]) == 12
    spec = {"run": str(run), "tracker": "mlflow", "patience": 1.0}
    late = processes.start(hanging.directory, "track", spec)
    until_ended(late)
    last = json.loads((late.directory / "events.jsonl").read_text().splitlines()[-1])
    assert last["event"] == "failed"
    assert last["message"] == "mlflow did not answer for 1 s."
    assert late.exit_code == 1
