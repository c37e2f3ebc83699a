"""A report on a run: measured, written, gone on with, and read by the command line; several runs in one table."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.jobs import history, processes
from gemmalocal.jobs.events import Event, Finished, Notice, Progress, Report
from gemmalocal.pipelines import report
from gemmalocal.pipelines.shared import report_ask
from gemmalocal.recipe import recipe_file
from gemmalocal.workspace import reports, runs
from gemmalocal.workspace.reports import Wish
from tests import here
from tests.here import work
from tests.pipelines.reporting import reported

pytestmark = pytest.mark.usefixtures("brief")


@pytest.mark.whole
def test_a_report_measures_writes_and_says_it(run: Path) -> None:
    figures = reported(run, "--metric", "exact")
    state = history.read(run)
    assert figures["loss"]["base"] == pytest.approx(state.evaluations[0].loss, abs=1e-3)
    assert state.best is not None
    assert figures["loss"]["tuned"] == pytest.approx(state.best.loss, abs=1e-3)
    assert figures["verdict"] in reports.VERDICTS
    assert figures["sentence"].split(":")[0].lower().startswith(figures["verdict"])
    assert figures["metric"]["name"] == "exact"
    assert figures["answers"]["rows"] == figures["rows"]
    assert sum(figures["answers"]["table"][name] for name in ("both", "fixed", "broken", "neither")) == figures["rows"]
    assert len(figures["forgetting"]["questions"]["asked"]) == 40
    assert len(figures["forgetting"]["registers"]) == 10
    assert figures["loss"]["kl"] > 0
    assert figures["loss"]["own_answers"] is not None
    folder = run / reports.FOLDER
    assert json.loads((folder / reports.FIGURES).read_text()) == figures
    assert reports.verdict(run) == figures["verdict"]
    html = here.run("report", run.name, "--html").stdout
    assert html.startswith("<!DOCTYPE html>")
    assert "<svg" in html
    for page in (html, here.run("report", run.name, "--md").stdout, json.dumps(figures)):
        assert str(run.parent.parent) not in page
        assert "/tmp" not in page
    words = here.run("report", run.name, "--metric", "exact")
    assert words.stdout.startswith(figures["sentence"])
    assert reports.PAGES["html"] in words.stderr


def test_it_goes_on_where_it_was_stopped(run: Path) -> None:
    spec, folder = reports.spec([run], Wish(6)), run / reports.FOLDER
    folder.mkdir()
    asked = 0

    def stop_soon() -> list[dict[str, Any]]:
        nonlocal asked
        asked += 1
        return [{"do": "stop"}] if asked == 5 else []

    events = list(report.run(spec, folder, stop_soon))
    assert isinstance(events[-1], Finished)
    assert events[-1].outcome == "stopped"
    assert not (folder / reports.FIGURES).exists()
    kept = (folder / reports.MEASURED).read_text().splitlines()
    assert kept
    with (folder / reports.MEASURED).open("a") as file:
        file.write('{"key": "torn')
    second: list[Event] = list(report.run(spec, folder, list))
    first_progress = next(event for event in second if isinstance(event, Progress) and "answers" in event.what)
    assert first_progress.left is not None
    figures = next(event.data for event in second if isinstance(event, Report))
    whole = list(report.run(spec, folder, list))
    again = next(event.data for event in whole if isinstance(event, Report))
    assert {**again, "at": ""} == {**figures, "at": ""}
    assert not any(isinstance(event, Progress) and "losses" in event.what for event in whole)  # all was known
    assert set(kept) <= set((folder / reports.MEASURED).read_text().splitlines())


def test_rows_are_drawn_and_those_without_an_answer_are_told(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_ask, "ANSWERS", 3)
    folder = run / reports.FOLDER
    folder.mkdir()
    events = list(report.run(reports.spec([run]), folder, list))
    figures = next(event.data for event in events if isinstance(event, Report))
    assert figures["answers"]["rows"] == 3
    assert any(isinstance(event, Notice) and event.text.startswith("3 of ") for event in events)
    assert reported(run, "--rows", "5", "--metric", "rouge")["rows"] == 5
    assert not reported(run, "--rows", "5", "--metric", "rouge")["metric"]["decides"]


def test_copies_of_rows_to_train_on_are_found(recipe_path: Path, rows: Path, workspace: Path) -> None:
    held_out = rows.with_name("valid.jsonl")
    folder = rows.parent / "both"
    folder.mkdir()
    sentence = "the quick brown fox jumps over a lazy dog while seven wizards quietly mix black jars of amber wax"
    words = sentence.split()
    train = [{"prompt": " ".join(words[n:] + words[: n // 2]) * 2, "completion": f" {words[n]}"} for n in range(12)]
    random.Random(0).shuffle(words)
    train += [{"prompt": " ".join(words[n::2] + words[:n]), "completion": f" {words[n]}"} for n in range(9)]
    copied = {**train[14], "completion": train[14]["completion"] + "!"}
    other = [{"prompt": f"quite other words, {'x' * n} and so on", "completion": " no"} for n in range(3, 7)]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, train)))
    (folder / held_out.name).write_text("\n".join(map(json.dumps, [copied, *other])))
    run = workspace / "runs" / "leaky"
    overrides = [f"data.path={folder}", "data.max_length=256", "train.steps=1"]
    work(run, "train", recipe_file.load(str(recipe_path), overrides).model_dump(mode="json"))
    leakage = reported(run)["leakage"]
    assert [line["copies"] for line in leakage["rows"]] == ["train.jsonl:15"]
    assert leakage["without"]["rows"] == 4
    shutil.copytree(run, run.with_name("again"))
    compared = here.run("report", "leaky", "again").stderr
    assert "again was trained on near copies of 1 of these rows" in compared


def test_several_runs_stand_in_one_table(run: Path, workspace: Path) -> None:
    shutil.copytree(run, workspace / "runs" / "two")
    done = here.run("report", "one", "two", "--json")
    assert done.returncode == 0, done.stderr
    table = json.loads(done.stdout)
    assert {line["run"] for line in table["runs"]} == {"one", "two"}
    first, second = table["runs"]
    assert first["tuned"] == pytest.approx(second["tuned"], abs=1e-5)
    assert first["tuned"] == pytest.approx(reported(run)["loss"]["tuned"], abs=1e-5)
    printed = here.run("report", "one", "two", "--rows", "4")
    assert printed.stdout.startswith("held-out loss on 4 rows of one")
    assert list((workspace / "errands").iterdir()) == []
    assert here.run("report", "one", "two", "--html").returncode == 2


def test_what_cannot_be_reported_on_is_said_in_a_sentence(run: Path, recipe_path: Path, workspace: Path) -> None:
    whole = workspace / "runs" / "whole"
    work(whole, "train", recipe_file.load(str(recipe_path), ["data.split=0", "train.steps=1"]).model_dump(mode="json"))
    for name, code, says in (("nobody", 2, "no run"), ("whole", 2, "held no rows out")):
        done = here.run("report", name)
        assert done.returncode == code
        assert says in done.stderr
    shutil.rmtree(run / "adapter")
    done = here.run("report", "one")
    assert done.returncode == 3
    assert "has made nothing yet" in done.stderr


def test_a_verdict_holds_until_the_run_makes_something_else(run: Path) -> None:
    figures = reported(run, "--rows", "4")
    assert reports.verdict(run) == figures["verdict"]
    listed = here.run("runs")
    assert figures["verdict"] in listed.stdout
    assert json.loads(here.run("runs", "--json").stdout)["verdict"] == figures["verdict"]
    (run / reports.FOLDER / reports.FIGURES).write_text("{")
    assert reports.verdict(run) == ""
    assert not processes.Job(run / reports.FOLDER).alive
    runs.delete(run)


def test_a_full_fine_tune_is_reported_on_too(recipe_path: Path, workspace: Path) -> None:
    run, path = workspace / "runs" / "full", recipe_path
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("lora")))
    work(run, "train", recipe_file.load(str(path), ["method=full", "train.steps=2"]).model_dump(mode="json"))
    figures = reported(run, "--rows", "4")
    assert figures["loss"]["kl"] > 0  # base and tuned share no weights
    assert figures["loss"]["base"] != figures["loss"]["tuned"]


def test_a_run_offers_its_report_or_makes_it(
    recipe_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "ENDS", 0.0)  # here the run lives as long as its report
    quick = ("--set", "train.steps=2", "--set", "data.split=0.4")
    done = here.run("train", str(recipe_path), "--name", "offers", *quick)
    assert "Did it help? gemmalocal report offers" in done.stderr
    done = here.run("train", str(recipe_path), "--name", "makes", *quick, "--set", "train.report=true")
    assert done.returncode == 0, done.stderr
    figures = reports.figures(workspace / "runs" / "makes")
    assert figures is not None
    assert figures["sentence"] in done.stdout
    assert "a report on the run is being made" in done.stderr
