"""A recorded workspace of version 0.1.0 opens: it is listed, gone on with, asked, trained on and taken away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import OptionList, Static

from gemmalocal.jobs.event_lines import decode, encode
from gemmalocal.jobs.events import Unknown
from gemmalocal.workspace import transcript
from tests.here import apart, run
from tests.recorded.place import AUTHOR, DOCUMENTS, RECIPE, open_copy
from tests.synthesis.server import running
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.dataset import DatasetScreen
from tui.screens.export import ExportScreen
from tui.screens.home import HomeScreen
from tui.screens.preparing import PreparingScreen
from tui.screens.train import TrainScreen
from tui.widgets.export_list import ExportList
from tui.widgets.row_card import RowCard
from tui.widgets.run_table import RunTable
from tui.widgets.title_line import TitleLine

RECORDING = Path(__file__).parent / "v0_1_0"
RUNS = {"finished": (12, 12, "done"), "stopped": (2, 12, "stopped"), "torch": (4, 4, "done")}  # step, steps, status
BY_HAND = "Six wicks, says the keeper."  # the answer that a row was given
DROPPED = "Three keepers share the watch"  # the row that was taken out
COMPLAINTS = ("damaged", "gone", "changed after", "made again", "none of")  # of notices
SIDES = ("train", "held_out", "rejected")
Events = list[dict[str, Any]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recorded workspace, copied, which is the one of all commands; we stand beside it."""
    folder = open_copy(RECORDING, tmp_path / "old")
    monkeypatch.setenv("GEMMALOCAL_HOME", str(folder))
    monkeypatch.chdir(folder.parent)
    return folder


def done(*words: str) -> str:
    """What a command prints that does."""
    ended = run(*words)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def lines(file: Path) -> Events:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def said(job: Path, kind: str) -> Events:
    """The events of a kind of a job, as they stand on the disk."""
    return [event for event in lines(job / "events.jsonl") if event["event"] == kind]


def rows(dataset: Path) -> dict[str, list[str]]:
    """The rows of a dataset's files as they are written, in any order."""
    return {side: sorted((dataset / f"{side}.jsonl").read_text(encoding="utf-8").splitlines()) for side in SIDES}


@pytest.mark.parametrize("file", sorted(RECORDING.rglob("events.jsonl")), ids=lambda file: str(file.parent.name))
def test_every_line_of_every_job_is_understood_whole(file: Path) -> None:
    for line in file.read_text(encoding="utf-8").splitlines():
        event, raw = decode(line), json.loads(line)
        assert not isinstance(event, Unknown), line
        assert raw.items() <= json.loads(encode(event, raw["at"])).items()
    job = json.loads((file.parent / "job.json").read_text(encoding="utf-8"))
    assert (set(job), job["kind"]) == ({"kind", "spec"}, lines(file)[0]["kind"])


def test_runs_are_listed_as_they_ended(home: Path) -> None:
    listed = {row["name"]: row for row in map(json.loads, done("runs", "--json").splitlines())}
    assert listed.keys() == RUNS.keys()
    for name, (step, steps, status) in RUNS.items():
        losses = [event["loss"] for event in said(home / "runs" / name, "evaluated")]
        assert listed[name].items() >= {"step": step, "steps": steps, "status": status, "why": ""}.items()
        assert listed[name]["held_out"] == min(losses)
        assert done("watch", name, "--json") == (home / "runs" / name / "events.jsonl").read_text(encoding="utf-8")
    assert "--- an attempt begins" in done("log", "finished")


@pytest.mark.parametrize("name", RUNS)
def test_a_run_goes_on_from_its_checkpoint(home: Path, name: str) -> None:
    before, steps, status = RUNS[name]
    longer = () if status == "stopped" else ("--set", f"train.steps={(steps := steps + 4)}")
    folder = home / "runs" / name
    loss = said(folder, "evaluated")[0]["loss"]
    done("resume", name, *longer)
    assert [event["step"] for event in said(folder, "started")] == [0, before]
    assert [event["step"] for event in said(folder, "step")] == list(range(1, steps + 1))
    assert said(folder, "evaluated")[-1]["loss"] < loss
    assert len({event["data"]["plan"]["engine"] for event in said(folder, "report")}) == 1
    notices = [event["text"] for event in said(folder, "notice")]
    assert not [text for text in notices if any(complaint in text for complaint in COMPLAINTS)]
    assert said(folder, "finished")[-1]["outcome"] == "done"
    assert sorted(path.name for path in (folder / "checkpoints").iterdir())[-1] == f"{steps:06d}"


def test_what_runs_made_answers_in_one_chat(home: Path) -> None:
    asked = apart("chat", *RUNS, "--prompt", "the quote of a:", "--max-tokens", "5", "--json")
    assert asked.returncode == 0, asked.stderr
    answers = {answer["name"]: answer["text"] for answer in json.loads(asked.stdout)["answers"]}
    assert list(answers) == ["base", *RUNS]
    assert answers["finished"] != answers["base"]


def test_a_chat_with_its_vote_is_what_its_transcript_says() -> None:
    folder = next((RECORDING / "home" / "chats").iterdir())
    chat = transcript.Talk()
    for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines():
        transcript.fold(chat, decode(line))
    assert chat.tally == [0, 1]
    assert transcript.as_json_lines(chat) == (folder / "transcript.jsonl").read_text(encoding="utf-8")
    assert transcript.as_markdown(chat) == (folder / "transcript.md").read_text(encoding="utf-8")


def test_a_dataset_is_shown_made_again_taken_back_and_converted(home: Path) -> None:
    folder = home / "datasets" / "papers"
    before = rows(folder)
    seen = json.loads(done("check", RECIPE, "--set", "data.path=papers", "--set", "data.max_length=512", "--json"))
    assert [seen[side]["rows"] for side in SIDES[:2]] == [len(before[side]) for side in SIDES[:2]] == [4, 4]
    assert any(BY_HAND in text for row in seen["rows"] for text, _ in row["pieces"])
    options = ("--author", "rules", "--model", "tiny-gemma", "--passage-tokens", "400", "--held-out", "0.5")
    done("prepare", DOCUMENTS, "--to", "papers", *options)
    report = said(folder, "report")[-1]["data"]  # rules ask otherwise now: what a person did stays all the same
    assert report["by"]["hand"] == 1
    assert report["not_made_again"] == 2  # of the rows that were dropped, and taken back
    assert sum(BY_HAND in row for row in rows(folder)["train"] + rows(folder)["held_out"]) == 1
    assert DROPPED in done("accept", "papers")
    assert DROPPED in done("accept", "papers", "1")
    assert any(DROPPED in row for row in rows(folder)["train"])
    done("convert", "papers", "--to", "alpaca", "--out", "converted")
    assert any(BY_HAND in file.read_text(encoding="utf-8") for file in Path("converted").glob("*.json*"))


def test_an_old_dataset_is_trained_on_from_an_old_adapter(home: Path) -> None:
    keys = ("data.path=papers", "data.max_length=128", "start_from=finished", "train.steps=2")
    done("train", RECIPE, "--name", "next", *(word for key in keys for word in ("--set", key)))
    assert [event["step"] for event in said(home / "runs" / "next", "step")] == [1, 2]
    assert any("finished" in event["text"] for event in said(home / "runs" / "next", "notice"))


def test_a_killed_preparation_goes_on_with_the_prompts_of_today(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = home / "datasets" / "interrupted"
    known = lines(folder / "asked.jsonl")
    with running() as author:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, author.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "")
        done("resume", "interrupted")
        report = said(folder, "report")[-1]["data"]
        assert report["author"] == f"author at {AUTHOR}"
        # Version 0.1.0 asked otherwise: what it was answered stays, and is no answer to what is asked now.
        assert report["answers_known"] == 0
        assert report["asked"] == len(author.asked) > 0
    assert lines(folder / "asked.jsonl")[:2] == known
    assert {row["by"] for row in lines(folder / "train.jsonl")} == {"model"}


def test_exports_are_whole_and_a_new_one_and_one_in_place_of_the_old_are_proved(home: Path) -> None:
    exports = home / "runs" / "finished" / "exports"
    old = json.loads((exports / "merged-bfloat16" / "proof.json").read_text())
    words = ("--form", "merged-bfloat16", "--dry-run", "--json")  # which reads it whole, by its hashes
    sent = json.loads(done("push", "finished", "me/tuned", *words))
    assert {"model.safetensors", "README.md"} <= {file["name"] for file in sent["files"]}
    for form, label in ((("gguf", "--type", "F16"), "gguf-F16"), (("adapter",), "adapter")):
        proof = json.loads(done("export", "finished", "--to", *form, "--json"))
        assert (proof["passed"], proof["form"]) == (True, label)
        assert proof["path"] == str(exports / label)
        for loss in ("base", "tuned"):
            assert proof[loss] == pytest.approx(old[loss], rel=1e-3)
    assert sorted(folder.name for folder in exports.iterdir()) == ["adapter", "gguf-F16", "merged-bfloat16"]
    weights = exports / "merged-bfloat16" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    refused = run("push", "finished", "me/tuned", *words)
    assert (refused.returncode, "is not whole: model.safetensors" in refused.stderr) == (1, True)


async def test_the_app_opens_all_of_it(home: Path) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(100, 40)) as pilot:
        table = app.screen.query_one(RunTable)
        await until(pilot, lambda: table.row_count == len(RUNS))
        assert str(table.get_row("stopped")[1]).endswith("stopped 2/12")
        table.move_cursor(row=table.get_row_index("finished"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.run)
        loss = min(event["loss"] for event in said(home / "runs" / "finished", "evaluated"))
        await until(pilot, lambda: f"{loss:.3f}" in str(app.screen.query_one("#numbers", Static).content))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await app.push_screen(ExportScreen(home / "runs" / "finished"))
        listed = app.screen.query_one(ExportList)
        await until(pilot, lambda: "kept" in shown(listed))
        await pilot.press("down", "down", "down")  # below the adapter in its forms
        await until(pilot, lambda: "held-out loss" in str(app.screen.query_one("#about", Static).content))
        assert isinstance(app.screen, ExportScreen)
        assert app.screen._at_hand is not None
        assert (app.screen._at_hand.label, app.screen._at_hand.trouble) == ("merged-bfloat16", None)
        await app.pop_screen()
        await app.push_screen(PreparingScreen(home / "datasets" / "interrupted"))
        await until(pilot, lambda: "killed" in str(app.screen.query_one(TitleLine).right))
        await app.pop_screen()
        await app.push_screen(DatasetScreen(str(home / "datasets" / "papers")))
        await until(pilot, lambda: BY_HAND in str(app.screen.query(RowCard).first(RowCard).content))


def shown(listed: OptionList) -> str:
    return "\n".join(str(listed.get_option_at_index(place).prompt) for place in range(listed.option_count))
