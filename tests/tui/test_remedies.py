"""Remedies name the app's keys in the app; and who killed a run is said, where it was us."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gemmalocal.jobs import exit_causes, history, holder, processes
from gemmalocal.jobs.events import Saved, Started
from gemmalocal.workspace import runs
from tests.tui.recorded import RUNS, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.remedies import in_app
from tui.run_words import doing
from tui.screens.confirm import ConfirmScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.train import TrainScreen
from tui.watch import Watcher

HOLDER = (
    "import fcntl, sys; from pathlib import Path; from gemmalocal.jobs import holder; "
    "f = open(sys.argv[1], 'a+'); fcntl.flock(f, fcntl.LOCK_EX); holder.sign(Path(sys.argv[1])); "
    "print('held', flush=True); input()"
)


@pytest.mark.parametrize(
    ("remedy", "ours"),
    [
        (exit_causes.MEMORY.hint, "Close other programs, and resume with less memory (R); or start again with a"),
        (exit_causes.BUFFERS.hint, "Resume (r): a new process counts from zero. If it happens again, resume with less"),
        ("Wait until it has ended, or stop it: gemmalocal stop quotes-1", "Wait until it has ended, or stop it (s)"),
        ("Train it again with data.split, such as --set data.split=0.1.", "with data.split, such as data.split=0.1."),
        ("Take a --type with more bits: Q8_0 or BF16.", "Take a type with more bits: Q8_0 or BF16."),
        ("Start the server, or check --endpoint-model.", "Start the server, or check endpoint model."),
        ("pip install --force-reinstall x", "pip install --force-reinstall x"),
    ],
)
def test_a_remedy_names_keys(remedy: str, ours: str) -> None:
    assert ours in in_app(remedy)


def test_no_remedy_of_a_run_is_a_command_in_the_app() -> None:
    folder = record("done", RUNS["finished"])
    for overrides in ((), ("train.steps=1",), ("lora.rank=2",)):
        with pytest.raises(Exception, match=".") as error:
            runs.resume(folder, overrides)
        assert "gemmalocal " not in in_app(getattr(error.value, "hint", ""))


async def test_a_run_that_we_killed_says_so_and_leads_to_its_recipe() -> None:
    folder = record("alive", RUNS["live"])
    (folder / "recipe.yaml").write_text("model: gemma-3-270m-demo\ndata: {path: x.jsonl}\ntrain: {steps: 100}\n")
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder / "lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert child.stdout is not None
    child.stdout.readline()
    assert holder.group(folder / "lock") == child.pid
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = TrainScreen(folder)
        await app.push_screen(screen)
        await until(pilot, lambda: screen.run and screen.run.state.status == "live")
        assert not screen.check_action("again", ())
        await pilot.press("ctrl+k")
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("right", "enter")
        await until(pilot, lambda: child.poll() is not None and screen.run and screen.run.trouble)
        assert "killed by hand" in str(screen.query_one("#trouble").render())
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, RecipeScreen))
    assert history.death(processes.Job(folder)).message == "It was killed by hand."


def test_a_run_that_has_saved_nothing_does_not_go_on_from_there() -> None:
    failed = RUNS["failed"][-1]
    record("early", [Started("train", 1, 1), failed])
    record("later", [Started("train", 1, 1), Saved(20, "checkpoints/20", True), failed])
    said = {run.name: doing(run, 0.0) for run in Watcher().look()}
    assert said["early"].startswith("r begins it anew · a edits")
    assert said["later"].startswith("r goes on from where it saved · a edits")


async def test_after_a_failure_the_field_that_the_remedy_names_has_the_focus() -> None:
    folder = record("failed", RUNS["failed"])
    (folder / "recipe.yaml").write_text("model: gemma-3-270m-demo\ndata: {path: x.jsonl}\ntrain: {steps: 100}\n")
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = TrainScreen(folder)
        await app.push_screen(screen)
        await until(pilot, lambda: screen.run)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, RecipeScreen) and app.focused)
        assert "train.learning_rate" in str(getattr(app.focused, "HELP", ""))
