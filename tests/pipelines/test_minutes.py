"""A run of a given time, from the command to its adapter, and what `check` says of it."""

from __future__ import annotations

import json
from pathlib import Path

from gemmalocal.jobs import history
from tests.here import run


def test_a_run_of_a_time_ends_with_all_that_belongs_to_it(recipe_path: Path, workspace: Path) -> None:
    unknown = run("check", str(recipe_path), "--set", "train.minutes=40")
    assert "how many steps 40 min are is not known yet: this machine has not trained anything" in unknown.stdout
    done = run("train", str(recipe_path), "--set", "train.minutes=0.02", "--name", "timed")
    assert done.returncode == 0, done.stderr
    assert "train.minutes=0.02 takes the place of steps: 12" in done.stderr
    state = history.read(workspace / "runs" / "timed")
    assert state.status == "done"
    last = state.steps[-1]
    assert (state.evaluations[-1].step, last.in_all) == (last.step, str(last.step))
    assert state.samples[-1].when == "after" or "were answered, to keep to the time" in done.stderr
    assert last.left is not None
    assert (workspace / "runs" / "timed" / "adapter").is_dir()
    again = run("resume", "timed")
    assert "--set train.minutes=0.04" in again.stderr
    assert run("train", str(recipe_path), "--set", "train.steps=3", "--name", "counted").returncode == 0
    report = json.loads(run("check", str(recipe_path), "--set", "train.minutes=40", "--json").stdout)
    assert (report["steps"] > 12, report["about"]) == (True, "by the pace of counted")
    assert report["time"]["seconds"] == 2400
    assert "about " in run("check", str(recipe_path), "--set", "train.minutes=40").stdout
