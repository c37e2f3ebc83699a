"""The comparison by keys: a tiny tuned Gemma and its base answer, are voted on, marked, saved and left."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from gemmalocal.cli import answer_columns
from gemmalocal.files import paths
from gemmalocal.jobs import processes
from gemmalocal.jobs.events import Finished, Replied
from gemmalocal.records import TRAIN_FILE
from gemmalocal.workspace import chats, transcript
from tests.here import run
from tests.tui.drawn import Stage
from tests.tui.recorded import RUNS, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.compare import CompareScreen
from tui.screens.confirm import LeaveScreen
from tui.screens.preparing import PreparingScreen
from tui.screens.problem import ProblemScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.report import ReportScreen
from tui.screens.train import TrainScreen
from tui.widgets import answers
from tui.widgets.answers import ExchangeRow, differing
from tui.widgets.field_form import FieldForm
from tui.widgets.question import Question
from tui.widgets.run_table import RunTable


async def refuses(pilot: Pilot[None], screen: CompareScreen) -> None:
    """A wrong setting is not taken, and stays to be corrected."""
    for wrong in ("/temperature -5", "/temperature warm", "/max_tokens 0", "/tone mild"):
        screen.query_one(Question).value = wrong
        await pilot.press("enter")
        assert screen.query_one(Question).value == wrong  # to be corrected
    assert screen._settings["temperature"] == 0


def names_of(screen: CompareScreen) -> list[str]:
    return [str(voice.content).strip() for voice in screen.query(".voice").results(Static)]


async def voted(pilot: Pilot[None], screen: CompareScreen) -> None:
    """Vote for the one and the other, for none, for all, and for the run in the end."""
    await pilot.press("right")
    await until(pilot, lambda: screen._talk.tally == [0, 1])
    await until(pilot, lambda: "1 vote" in str(screen.query(".voice").last(Static).content))
    assert "★ better" in str(screen.query(".said").last(Static).content)
    await pilot.press("left")
    await until(pilot, lambda: screen._talk.tally == [1, 0])
    await pilot.press("=")
    await until(pilot, lambda: screen._talk.tally == [0, 0])
    await pilot.press("=")
    await until(pilot, lambda: screen._talk.exchanges[-1].verdict == "tie")
    await until(pilot, lambda: "all are good" in str(screen.query_one(".asked", Static).content))
    await pilot.press("right")
    await until(pilot, lambda: screen._talk.tally == [0, 1])


async def learned_from(pilot: Pilot[None]) -> None:
    """From the votes to a recipe that goes on from the run which was voted on."""
    await pilot.press("f4")
    await until(pilot, lambda: isinstance(pilot.app.screen, PreparingScreen))
    await until(pilot, lambda: (paths.datasets() / "votes" / TRAIN_FILE).is_file())
    await until(pilot, lambda: pilot.app.screen.check_action("train", ()))
    await pilot.press("t")
    await until(pilot, lambda: isinstance(pilot.app.screen, RecipeScreen))
    form = pilot.app.screen.query_one(FieldForm)
    await until(pilot, lambda: form.values().get("start_from"))
    values = form.values()
    assert values["start_from"] == "tiny"
    assert values["objective"]["kind"] == "kto"
    assert values["lora"] == {"rank": 4, "alpha": 8, "dropout": 0.1}
    assert values["data"]["path"] == str(paths.datasets() / "votes")


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
        await until(pilot, lambda: names_of(screen) == ["base", "tiny"])
        await refuses(pilot, screen)
        screen.query_one(Question).value = ""
        await pilot.press(*"/max_tokens", "space", "6", "enter")
        await pilot.press(*"the", "enter")
        await until(pilot, lambda: screen._talk.exchanges and screen._talk.exchanges[-1].whole)
        assert all(answer.tokens <= 6 for answer in screen._talk.exchanges[-1].answers)
        assert str(screen.query_one(".asked", Static).content).strip() == "› the"
        assert "tok/s" in str(screen.query(".said").results(Static).__next__().content)
        await pilot.press("escape")  # meant to stop the answer, which has ended
        assert app.screen_stack[-1:] == [screen]
        await voted(pilot, screen)
        await pilot.press("ctrl+g", "ctrl+s")
        assert screen._job is not None
        folder = screen._job.directory
        await until(pilot, lambda: (folder / "transcript.md").is_file())
        await learned_from(pilot)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("escape")
        assert isinstance(app.screen, TrainScreen)
    assert folder.parent == paths.chats()
    assert json.loads((folder / "transcript.jsonl").read_text())["vote"] == "tiny"
    job = processes.Job(folder)
    deadline = time.monotonic() + 120
    while job.alive and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not job.alive, "the chat must not outlive its screen"


async def test_questions_have_lines_and_a_history_and_the_talk_scrolls_by_keys(stage: Stage) -> None:
    stage.learned(last=Finished("done"))
    app = GemmalocalApp()
    async with app.run_test(size=(80, 20)) as pilot:
        screen = CompareScreen(["quotes-1"])
        await app.push_screen(screen)
        await until(pilot, lambda: len(screen.query(ExchangeRow)) == 3 and screen._talk.exchanges[-1].whole)
        talk, question = screen.query_one("#talk"), screen.query_one(Question)
        await until(pilot, lambda: talk.scroll_y == talk.max_scroll_y > 0)
        await pilot.press("pageup")
        await until(pilot, lambda: talk.scroll_y < talk.max_scroll_y)
        for row in screen.query(ExchangeRow):  # answers of one question begin on the same line
            assert len({said.region.y for said in row.query(".said")}) == 1
        await pilot.press(*"one\\", "enter", *"two", "ctrl+o", *"three")
        assert question.text == "one\ntwo\nthree"
        await pilot.press("enter", *"four", "enter", *"draft", "up")
        assert question.text == "four"
        await pilot.press("up")
        assert question.text == "one\ntwo\nthree"
        await pilot.press("down", "down")
        assert question.text == "draft"
        await pilot.press("escape")  # what is written is not lost
        assert isinstance(app.screen, LeaveScreen)
        await pilot.press("n")
        question.value = ""
        await pilot.press("ctrl+y", "down", "down", "enter")
        assert app.clipboard == screen._talk.exchanges[-1].answers[1].text.strip()


async def test_columns_are_chosen_and_earlier_talks_read(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stage.learned(last=Finished("done"))
    (run / "checkpoints" / "50").mkdir(parents=True)
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = CompareScreen()
        await app.push_screen(screen)
        await until(pilot, lambda: len(screen.query(ExchangeRow)) == 3)
        talk, job = screen._talk, screen._job
        assert job is not None
        monkeypatch.setattr(chats, "start", lambda *words: processes.Job(job.directory))
        assert screen._names == ["base", str(run)]
        screen._change_columns(f"{run}@50")
        screen._change_columns("base")
        assert (screen._base, screen._runs) == (False, [str(run), f"{run}@50"])
        for name in screen._names[1:] + screen._names[:1]:
            screen._change_columns(name)
        assert screen._names == [str(run)]  # one is always asked
        await until(pilot, lambda: len(screen.query(ExchangeRow)) == 3)
        await pilot.press("ctrl+l")
        await until(pilot, lambda: app.screen.query(OptionList) and app.screen.query_one(OptionList).option_count == 3)
        offers = [str(option.prompt) for option in app.screen.query_one(OptionList).options]
        assert offers == ["  base", "✓ quotes-1", "  quotes-1@50"]
        await pilot.press("escape")
        folder = paths.chats() / "chat-1"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "transcript.jsonl").write_text(transcript.as_json_lines(talk))
        await pilot.press("ctrl+b")
        await until(pilot, lambda: app.screen.query(OptionList) and app.screen.query_one(OptionList).option_count)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ReportScreen))
        assert isinstance(app.screen, ReportScreen)
        assert talk.exchanges[0].asked.text in app.screen._text.plain


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


@pytest.mark.parametrize(
    ("tokens", "stopped", "said", "printed"),
    [
        (0, "idle", "0 tokens · called nothing", "(0 tokens, called nothing)"),
        (1, "end", "1 token · first after 0.50 s · complete", "(1 token, first after 0.50 s)"),
        (
            3, "length", "3 tokens · 2.0 tok/s · first after 0.50 s · cut off",
            "(3 tokens, 2.0 tok/s, first after 0.50 s, cut at the longest)",
        ),
    ],
)  # fmt: skip
def test_a_speed_is_told_of_what_has_one(tokens: int, stopped: str, said: str, printed: str) -> None:
    seconds = 1.5 if tokens else 0.0
    done = Replied(turn=0, voice=0, text="", tokens=tokens, seconds=seconds, first=min(0.5, seconds), stopped=stopped)
    answer = transcript.Answer("", tokens, done)
    assert (answers.figures(answer), answer_columns.figures(answer)) == (said, printed)
