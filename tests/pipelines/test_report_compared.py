"""Reports against another run, on an export, with ratings, with a judge; and the same report asked for twice."""

from __future__ import annotations

import fcntl
import json
import shutil
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from gemmalocal.jobs import history
from gemmalocal.recipe import recipe_file
from gemmalocal.workspace import reports
from tests import here
from tests.here import work
from tests.pipelines.reporting import reported
from tests.synthesis import server

pytestmark = pytest.mark.usefixtures("brief")


def trained(name: str, recipe: Path, workspace: Path, *overrides: str) -> Path:
    folder = workspace / "runs" / name
    spec = recipe_file.load(str(recipe), ["data.split=0.4", "train.steps=2", *overrides]).model_dump(mode="json")
    work(folder, "train", spec)
    assert history.read(folder).status == "done"
    return folder


def test_a_run_is_held_against_what_it_started_from_and_against_another(
    run: Path, recipe_path: Path, workspace: Path
) -> None:
    second = trained("second", recipe_path, workspace, "start_from=one", "train.seed=0")
    before, figures = reported(run, "--rows", "6"), reported(second, "--rows", "6")
    assert figures["against"] == "one"
    assert ", against one: held-out loss" in figures["sentence"]
    assert figures["loss"]["base"] == pytest.approx(before["loss"]["tuned"], abs=1e-5)
    (beside,) = figures["beside"]
    assert beside["against"] == "base"
    assert f"held-out loss {before['loss']['base']:.2f} ->" in beside["sentence"]
    assert "KL to base" in beside["sentence"]
    by_name = reported(second, "--rows", "6", "--against", "one")
    assert by_name["loss"]["difference"] == pytest.approx(figures["loss"]["difference"], abs=1e-4)
    assert by_name["beside"] == []
    assert "KL to one" in by_name["sentence"]
    alone = reported(second, "--rows", "6", "--against", "base")
    assert alone["sentence"] == beside["sentence"]
    assert {folder.name for folder in (second / reports.OTHERS).iterdir()} == {"against-one", "against-base"}
    page = (second / reports.FOLDER / reports.PAGES["md"]).read_text()
    assert "Held against one, and not against the base model" in page
    shutil.rmtree(run)  # what it started from is gone
    done = here.run("report", "second", "--rows", "6", "--json")
    assert "what the run started from (one) cannot be asked" in done.stderr
    assert json.loads(done.stdout)["against"] == "base"


def test_whom_a_run_cannot_be_held_against_is_said(run: Path, recipe_path: Path, workspace: Path) -> None:
    other = workspace / "runs" / "other"
    shutil.copytree(run, other)
    job = json.loads((other / "job.json").read_text())
    job["spec"]["model"] += "/../another"
    (other / "job.json").write_text(json.dumps(job))
    for name, says in (("other", "different base models"), ("one", "against itself"), ("nobody", "no run")):
        done = here.run("report", "one", "--against", name)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(("words", "label"), [(("gguf",), "gguf-Q8_0"), (("mlx-adapter",), "mlx-adapter")])
def test_an_export_is_asked_in_place_of_the_run(run: Path, words: tuple[str, ...], label: str) -> None:
    assert here.run("export", "one", "--to", *words).returncode == 0
    plain = reported(run, "--rows", "5")
    figures = reported(run, "--rows", "5", "--form", label.partition("-Q")[0])
    assert figures["form"] == label
    assert figures["loss"]["tuned"] == pytest.approx(plain["loss"]["tuned"], abs=0.05)
    assert figures["loss"]["kl"] == pytest.approx(plain["loss"]["kl"], rel=0.5)
    cost = reported(run, "--rows", "5", "--form", label, "--against", "one")  # what the export itself has cost
    assert cost["loss"]["base"] == pytest.approx(plain["loss"]["tuned"], abs=1e-4)
    assert cost["verdict"] == "no difference"
    assert {folder.name for folder in (run / reports.OTHERS).iterdir()} == {label, f"{label}-against-one"}
    assert reports.figures(run) == plain
    done = here.run("report", "one", "--form", "ollama")
    assert done.returncode == 2
    assert f"has no export 'ollama'. It has: {label}" in done.stderr


def test_rated_answers_have_a_win_rate(recipe_path: Path, tmp_path: Path, pairs: Path, workspace: Path) -> None:
    thumbs = tmp_path / "thumbs.jsonl"
    rows = [json.loads(line) for line in pairs.read_text().splitlines()]
    marked = [
        {"prompt": row["prompt"], "completion": row["chosen" if number % 2 else "rejected"], "label": bool(number % 2)}
        for number, row in enumerate(rows)
    ]
    thumbs.write_text("".join(json.dumps(row) + "\n" for row in marked))
    run = trained("thumbs", recipe_path, workspace, f"data.path={thumbs}", "objective.kind=kto", "train.steps=12")
    rated = reported(run)["rated"]
    last = history.read(run).evaluations[-1].preference
    assert last is not None
    assert rated["good"]
    assert rated["bad"]
    assert rated["share"]["value"] == (rated["raised"] + rated["lowered"]) / (rated["good"] + rated["bad"])
    assert rated["good_gain"] - rated["bad_gain"] > 0
    figures = reports.figures(run) or {}
    assert "moved the right way, p =" in figures["sentence"]
    assert "Fisher's exact test" in (run / reports.FOLDER / reports.PAGES["md"]).read_text()


def said(better: str) -> str:
    return json.dumps({"rows": [{"better": better, "reason": "because"}]})


def by_text(body: dict[str, Any]) -> str:
    """Prefers the answer that comes first in the alphabet, wherever it stands."""
    text = body["messages"][0]["content"]
    first, _, second = text.rpartition("Answer A:\n")[2].partition("\n\nAnswer B:\n")
    return said("A" if first < second else "B")


def test_a_judge_sees_both_orders_and_is_asked_once(run: Path) -> None:
    with server.running() as model:
        model.answer = by_text
        words = ("--rows", "6", "--judge", model.url)
        plain, figures = reported(run, "--rows", "6"), reported(run, *words)
        judge = figures["judge"]
        differing = [line for line in model.asked if "Answer A:" in line["messages"][0]["content"]]
        assert judge["rows"] == 6
        assert judge["won"] + judge["lost"] == len(differing) / 2
        assert judge["ties"] == 6 - len(differing) / 2
        assert (judge["flips"], judge["unread"]) == (0, 0)
        assert figures["verdict"] == plain["verdict"]
        asked = len(model.asked)
        assert reported(run, *words)["judge"] == judge
        assert len(model.asked) == asked  # what it said is kept
        assert "listed" in judge["by"]
        assert judge["sentence"].split(";")[0] in here.run("report", "one", *words).stdout
        assert "What a judge says" in (run / reports.FOLDER / reports.PAGES["md"]).read_text()


@pytest.mark.parametrize(("better", "why"), [("A", "stood first"), ("B", "stood second"), ("hm", "could not be read")])
def test_a_judge_that_goes_by_the_place_gives_no_verdict(run: Path, better: str, why: str) -> None:
    with server.running() as model:
        model.answer = lambda body: said(better)
        judge = reported(run, "--rows", "6", "--judge", model.url)["judge"]
        assert judge["verdict"] is None
        assert why in judge["why"]
        assert judge["won"] == judge["lost"] == 0
        assert "No verdict of the judge" in (run / reports.FOLDER / reports.PAGES["html"]).read_text()


def test_a_judge_that_fails_loses_nothing_and_the_report_goes_on(run: Path) -> None:
    with server.running() as model:
        model.answer = by_text
        model.faults = ["404"]
        done = here.run("report", "one", "--rows", "6", "--judge", model.url)
        assert done.returncode == 3
        assert done.stdout == ""
        assert "no luck with" in done.stderr
        assert reported(run, "--rows", "6", "--judge", model.url)["judge"]["unread"] == 0


def test_who_cannot_judge_is_said(run: Path, tiny: Path) -> None:
    for words, code, says in (
        (("--judge", str(run / "adapter")), 2, "its own judge"),
        (("--judge", "one"), 2, "its own judge"),
        (("--judge", str(tiny), "--key-env", "KEY"), 2, "for a server's address"),
        (("--judge", "http://host/v1?key=1"), 2, "address cannot be used"),
        (("--judge-model", "a"), 2, "need --judge"),
        (("--judge", "http://127.0.0.1:9/v1"), 3, "Nothing answers"),
    ):
        done = here.run("report", "one", "--rows", "2", *words)
        assert (done.returncode, says in done.stderr) == (code, True), done.stderr


def test_the_same_report_asked_for_twice_is_looked_on_at(run: Path) -> None:
    reported(run, "--rows", "4")
    folder = run / reports.FOLDER
    first = (folder / "events.jsonl").read_text()
    with (folder / "lock").open("a+") as lock, (folder / "events.jsonl").open("a") as events:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX)  # it is being made once more
        other = here.run("report", "one", "--rows", "5")
        assert other.returncode == 2
        assert "is being made already" in other.stderr
        events.write(first.replace("measuring losses", "measuring them again").replace('"rows": 4', '"rows": 3'))
        events.flush()
        Timer(0.3, fcntl.flock, (lock.fileno(), fcntl.LOCK_UN)).start()
        done = here.run("report", "one", "--rows", "4", "--json")
    assert done.stderr.count("measuring") == done.stderr.count("measuring them again") == 1
    assert "Ctrl-C looks away" in done.stderr
    assert json.loads(done.stdout)["rows"] == 3
