"""The comparison by keys: a tiny tuned Gemma and its base answer, are voted on, marked, saved and left."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from textual.widgets import Static

from gemmalocal.files import paths
from gemmalocal.jobs import processes
from tests.here import run
from tests.tui.recorded import RUNS, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.compare import CompareScreen
from tui.screens.problem import ProblemScreen
from tui.screens.train import TrainScreen
from tui.widgets.answers import differing
from tui.widgets.question import Question
from tui.widgets.run_table import RunTable


async def test_ask_vote_save_and_leave(recipe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.screens.compare.JUST", 1e9)
    words = ["train", str(recipe_path), "--name", "tiny", "--set", "samples.prompts=[]"]
    done = run(*words)
    assert done.returncode == 0, done.stderr
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await app.push_screen(TrainScreen(paths.runs() / "tiny"))
        await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.run)
        await pilot.press("c")
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        await until(pilot, lambda: len(screen.query(".said")) == 2)
        assert [str(voice.content) for voice in screen.query(".voice").results(Static)] == ["base", "tiny"]
        for wrong in ("/temperature -5", "/temperature warm", "/max_tokens 0", "/tone mild"):
            screen.query_one(Question).value = wrong
            await pilot.press("enter")
            assert screen.query_one(Question).value == wrong  # to be corrected
        assert screen._settings["temperature"] == 0
        screen.query_one(Question).value = ""
        await pilot.press(*"/max_tokens", "space", "6", "enter")
        await pilot.press(*"the", "enter")
        await until(pilot, lambda: screen._talk.exchanges and screen._talk.exchanges[-1].whole)
        assert all(answer.tokens <= 6 for answer in screen._talk.exchanges[-1].answers)
        said = str(screen.query(".said").results(Static).__next__().content)
        assert "› the" in said
        assert "tok/s" in said
        await pilot.press("escape")  # meant to stop the answer, which has ended
        assert app.screen_stack[-1:] == [screen]
        await pilot.press("right")
        await until(pilot, lambda: screen._talk.tally == [0, 1])
        await pilot.press("ctrl+g", "ctrl+s")
        assert screen._job is not None
        folder = screen._job.directory
        await until(pilot, lambda: (folder / "transcript.md").is_file())
        await pilot.press("escape")
        assert isinstance(app.screen, TrainScreen)
    assert folder.parent == paths.chats()
    assert json.loads((folder / "transcript.jsonl").read_text())["vote"] == "tiny"
    job = processes.Job(folder)
    deadline = time.monotonic() + 120
    while job.alive and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not job.alive, "the chat must not outlive its screen"


async def test_a_run_without_a_result_has_a_sentence() -> None:
    record("young", RUNS["killed"])
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(CompareScreen(["nothing"]))
        await until(pilot, lambda: isinstance(app.screen, ProblemScreen))
        await pilot.press("escape", "escape")
        assert not isinstance(app.screen, CompareScreen)


async def test_c_never_compares_another_run() -> None:
    """Of one that was killed, its newest checkpoint is asked; one that saved nothing says so."""
    record("done", RUNS["finished"]).joinpath("adapter").mkdir()
    record("young", RUNS["killed"][:20], at=2e9)
    record("killed", RUNS["killed"], at=3e9)
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.query_one(RunTable).row_count == 3)
        await pilot.press("c")
        assert isinstance(app.screen, CompareScreen)
        assert [Path(run).name for run in app.screen._runs] == ["killed"]
        await until(pilot, lambda: not isinstance(app.screen, CompareScreen))  # recorded: there are no weights
        await pilot.press("escape", "escape", "down", "c")
        assert app.screen is app.screen_stack[0]
        assert any("learned nothing yet" in note.message for note in app._notifications)


def test_words_that_differ_are_marked() -> None:
    content = differing("the old cat sat", "the cat sat down")
    assert str(content) == "the old cat sat"
    assert [content.plain[span.start : span.end] for span in content.spans if "bold" in str(span.style)] == ["old"]
