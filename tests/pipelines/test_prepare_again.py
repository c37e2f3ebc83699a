"""A dataset that is made again: killed, stopped, edited by hand, or as it was; nothing is asked twice."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.jobs import processes
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.workspace import datasets
from tests.children import until, until_ended
from tests.here import run
from tests.pipelines.preparations import documents, grounded, of_files, prepared, through
from tests.synthesis.server import quiz, running

KEY = "sk-that-nobody-may-see"
__all__ = ["documents"]  # a fixture


def test_an_endpoint_writes_and_a_second_run_asks_nothing(
    documents: Path, tiny: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    with running() as model:
        model.faults, model.listed = ["500"], f"/home/ann/{KEY}/gemma.gguf"  # it says the key back, and where it lies
        first = through(model, documents, tiny, "d", "--key-env", "MY_KEY", "--json")
        assert first.returncode == 0, first.stderr
        told = [event for event in map(json.loads, first.stdout.splitlines()) if event.get("what") == "passages"]
        assert [event["done"] for event in told] == sorted({event["done"] for event in told})  # it never goes back
        assert [event["done"] for event in told] == [0, 1, 2, 3, 4, 5]  # told at each answer
        asked, files = len(model.asked), of_files(workspace / "datasets" / "d")
        assert asked == 6 + 5  # the questions of each passage were asked again
        assert {row["by"] for row in files[TRAIN_FILE] + files[HELD_OUT_FILE]} == {"model"}
        assert grounded(files[TRAIN_FILE] + files[HELD_OUT_FILE], documents)
        again = through(model, documents, tiny, "d", "--key-env", "MY_KEY")
        assert again.returncode == 0, again.stderr
        assert len(model.asked) == asked
        assert of_files(workspace / "datasets" / "d") == files
        assert set(model.keys) == {f"Bearer {KEY}"}
        model.faults = ["401"]
        refused = through(model, documents, tiny, "e", "--key-env", "MY_KEY")
        assert refused.returncode == 3
        assert "refuses access (401)" in refused.stderr
    unset = prepared(documents, tiny, "f", "--endpoint", model.url, "--key-env", "NO_SUCH_KEY")
    assert unset.returncode == 3
    assert "NO_SUCH_KEY is not set" in unset.stderr
    for file in workspace.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert KEY.encode() not in content, f"{file} holds the key"
        assert b"/home/ann" not in content, f"{file} holds a path of another machine"
    assert KEY not in first.stdout + first.stderr + refused.stderr
    assert "/home/ann" not in first.stdout + first.stderr
    assert "gemma.gguf at http" in again.stderr + again.stdout


def author_and_judge(body: dict[str, Any]) -> str:
    """A good author, and a judge whose score depends on the row alone."""
    asked = body["messages"][0]["content"]
    if not asked.startswith("Score"):
        return quiz(body)
    return json.dumps({"rows": [{"score": 3 if "hive" in asked.rpartition("Question:")[2] else 9, "reason": "so"}]})


def report(done: subprocess.CompletedProcess[str], folder: Path) -> dict[str, Any]:
    """The report of a preparation that was made in a folder."""
    assert done.returncode == 0, done.stderr
    return datasets.report(folder)


def test_a_changed_prompt_asks_only_what_changed_and_the_whole_cost_is_told(
    documents: Path, tiny: Path, workspace: Path, tmp_path: Path
) -> None:
    own, folder = tmp_path / "prompts", workspace / "datasets" / "d"
    own.mkdir()
    (own / "judge.j2").write_text("Score {{ question }} {{ answer }}\nQuestion: {{ question }}")
    options = ("--no-round-trip", "--judge", "--prompts", str(own))
    with running() as model:
        model.answer = author_and_judge
        done = through(model, documents, tiny, "d", *options)
        first, whole = report(done, folder), len(model.asked)
        scored = sum(body["messages"][0]["content"].startswith("Score") for body in model.asked)
        assert whole == scored + first["passages"]
        rows = first["train"]["rows"] + first["held_out"]["rows"]
        cost = {"prompt": 100 * whole, "completion": 20 * whole, "cached": 0, "a_row": round(120 * whole / rows, 1)}
        assert first["tokens"] == cost  # as the server counts
        assert f"{120 * whole / rows:.0f} a kept row" in done.stderr + done.stdout
        model.asked.clear()
        again = report(through(model, documents, tiny, "d", *options), folder)
        assert (again["asked"], len(model.asked)) == (0, 0)
        assert again["tokens"] == cost
        (own / "judge.j2").write_text("Score once more {{ question }} {{ answer }}\nQuestion: {{ question }}")
        changed = report(through(model, documents, tiny, "d", *options), folder)
        assert (changed["asked"], changed["answers_known"]) == (scored, first["passages"])
        assert all(body["messages"][0]["content"].startswith("Score once more") for body in model.asked)


def of_facts(body: dict[str, Any]) -> str:
    """An author that says something sensible only when it is asked sentence by sentence."""
    text = body["messages"][0]["content"].rpartition("on one line:\n")[2]
    lines = [line.partition(". ") for line in text.splitlines()]
    if not all(number.isdigit() for number, _, _ in lines):
        return "nonsense"
    told = [(int(number), re.sub(r"^\[[^]]*\] ", "", line)) for number, _, line in lines]
    pairs = [
        {"sentence": number, "question": f"How ends {line.rpartition(' ')[0]}?", "answer": line}
        for number, line in told
    ]
    return json.dumps({"rows": pairs})


def test_wanted_rows_are_made_and_what_is_not_covered_is_told(documents: Path, tiny: Path, workspace: Path) -> None:
    with running() as model:
        done = through(model, documents, tiny, "some", "--rows", "3", "--held-out", "0")
        some = report(done, workspace / "datasets" / "some")
        assert (some["rows_wanted"], some["train"]["rows"]) == (3, 3)
        covered = some["coverage"]
        assert covered["passages"] == 5
        assert 0 < covered["with_row"] <= 3
        assert len(covered["not_covered"]) == 5 - covered["with_row"]
        assert f"{covered['with_row']} of 5 passages with prose have a row" in done.stderr + done.stdout
        model.answer = of_facts
        done = through(
            model, documents, tiny, "many", "--rows", "9", "--attempts", "2", "--held-out", "0", "--no-round-trip"
        )
        many = report(done, workspace / "datasets" / "many")
        assert many["train"]["rows"] == 9
        assert many["by"] == {"model": 9}
        assert many["coverage"]["share"] == 1.0


@pytest.mark.parametrize("answers", [2, 7, 17])  # passages are asked about, questions again, and last the judge
def test_killed_and_started_again_is_the_same_dataset_and_nothing_is_asked_twice(
    documents: Path, tiny: Path, workspace: Path, answers: int
) -> None:
    options = ("--concurrency", "1", "--judge")
    with running() as model:
        model.answer = author_and_judge
        assert through(model, documents, tiny, "whole", *options).returncode == 0
        whole = len(model.asked)
        assert whole > 10
        model.asked.clear()
        model.answered.clear()
        model.hold = answers
        assert through(model, documents, tiny, "killed", *options, "--detach").returncode == 0
        job = processes.Job(workspace / "datasets" / "killed")
        until(lambda: len(model.asked) == answers + 1, job)  # so the answers before are kept
        known = set(model.answered)
        job.kill()
        until_ended(job)
        assert not (job.directory / TRAIN_FILE).exists()
        with (job.directory / datasets.ASKED).open("ab") as torn:
            torn.write(b'{"key": "ab')  # what a kill in the midst of a write leaves
        model.hold = None
        model.gate.set()
        model.asked.clear()
        resumed = run("resume", "killed")
        assert resumed.returncode == 0, resumed.stderr
        asked = [body["messages"][-1]["content"] for body in model.asked]
        assert len(known) == answers
        assert known.isdisjoint(asked)
        assert len(asked) == len(set(asked)) == whole - answers
        assert of_files(job.directory) == of_files(workspace / "datasets" / "whole")
        for name in (datasets.REPORT, HELD_OUT_FILE):  # as a kill leaves them while the files are written
            (job.directory / name).unlink()
        model.asked.clear()
        assert through(model, documents, tiny, "killed", *options).returncode == 0
        assert not model.asked
    assert of_files(job.directory) == of_files(workspace / "datasets" / "whole")


def test_stop_keeps_the_answers(documents: Path, tiny: Path, workspace: Path) -> None:
    with running() as model:
        model.hold = 2
        detached = through(model, documents, tiny, "d", "--concurrency", "1", "--no-round-trip", "--detach")
        job = processes.Job(Path(detached.stdout.strip()))
        until(lambda: model.answered.total() == 2 and len(model.asked) == 3, job)
        assert run("stop", "d").returncode == 0
        until(lambda: '"stopping"' in (job.directory / "events.jsonl").read_text(), job)
        model.hold = None
        model.gate.set()
        until_ended(job)
        state = [json.loads(line) for line in job.lines()][-1]
        assert (state["event"], state["outcome"]) == ("finished", "stopped")
        model.asked.clear()
        assert run("resume", "d").returncode == 0
        assert len(model.asked) <= 3  # of 5: two answers were kept, the third if it came in time
    assert datasets.read(workspace / "datasets" / "d" / TRAIN_FILE)


def test_what_was_edited_is_not_written_over_and_what_was_accepted_stays(
    documents: Path, tiny: Path, workspace: Path
) -> None:
    folder = workspace / "datasets" / "d"

    def lying(body: dict[str, Any]) -> str:
        text = body["messages"][0]["content"].rpartition("Text:\n")[2].strip()
        good = {
            "question": f"Which words begin with {text[:11]}?",
            "answer": text[:30],
            "evidence": text.partition(".")[0],
        }
        bad = {"question": f"Who made {text[:11]}?", "answer": "A hero did.", "evidence": "a hero made it all"}
        return json.dumps({"rows": [good, bad]})

    with running() as model:
        model.answer = lying
        assert through(model, documents, tiny, "d", "--no-round-trip").returncode == 0
        rejected = datasets.read(folder / datasets.REJECTED)
        assert len(rejected) == 5
        assert all("does not occur" in row["reason"] for row in rejected)
        listed = run("accept", "d")
        assert "a hero made it all" in listed.stdout
        assert run("accept", "d", "99").returncode == 2
        assert run("accept", "d", "2").returncode == 0
        taken = {key: value for key, value in rejected[1].items() if key not in ("reason", "held_out")}
        side = HELD_OUT_FILE if rejected[1]["held_out"] else TRAIN_FILE
        assert taken in datasets.read(folder / side)
        assert through(model, documents, tiny, "d", "--no-round-trip").returncode == 0  # made again, it is still there
        assert taken in datasets.read(folder / side)
        assert len(datasets.read(folder / datasets.REJECTED)) == 4
        with (folder / TRAIN_FILE).open("a") as file:
            file.write('{"text": "mine"}\n')
        refused = through(model, documents, tiny, "d")
        assert refused.returncode == 2
        assert "edited by hand" in refused.stderr
    assert "mine" in (folder / TRAIN_FILE).read_text()


def test_what_was_done_by_hand_holds_when_it_is_made_again(documents: Path, tiny: Path, workspace: Path) -> None:
    folder = workspace / "datasets" / "d"
    assert prepared(documents, tiny, "d", "--author", "rules").returncode == 0
    gone, mended = datasets.read(folder / TRAIN_FILE)[:2]
    datasets.drop(folder, TRAIN_FILE, gone)
    datasets.edit(folder, TRAIN_FILE, mended, "Quite another answer.")
    before = of_files(folder)
    done = prepared(documents, tiny, "d", "--author", "rules", "--json")
    assert done.returncode == 0, done.stderr
    assert of_files(folder) == before
    report = next(json.loads(line)["data"] for line in done.stdout.splitlines() if '"report"' in line)
    assert report["by"]["hand"] == 1
    assert report["rejected"]["was dropped by hand"] == 1
    listed = run("accept", "d")
    assert "was dropped by hand" in listed.stdout


def without_answers(body: dict[str, Any]) -> str:
    """A good author also of questions that no passage answers, and of such as take a number wrong."""
    asked = body["messages"][0]["content"]
    if asked.startswith("Can the question"):
        return json.dumps({"rows": [{"evidence": "", "answered": False}]})
    words = re.findall(r"[a-z]{5,}", asked.rpartition("Text:\n")[2].partition("\n\n")[0])[:5]
    if "does not answer" in asked:
        row = {
            "question": f"How heavy is {' '.join(words)}?",
            "missing": "weight",
            "answer": "They do not say how heavy.",
        }
        return json.dumps({"rows": [row]})
    if "take something wrong" not in asked:
        return quiz(body)
    right = re.findall(r"\d+|\w{4,}", asked.rpartition("Sentence:\n")[2])[0]
    wrong = "77" if right.isdigit() else "Zanzibar"
    question = f"Why is {wrong} with {' '.join(word for word in words if word != right)}?"
    row = {"right": right, "wrong": wrong, "question": question, "answer": f"Not {wrong}, but {right}."}
    return json.dumps({"rows": [row]})


def test_a_share_of_questions_has_no_answer_and_says_so(documents: Path, tiny: Path, workspace: Path) -> None:
    folder = workspace / "datasets" / "d"
    with running() as model:
        model.answer = without_answers
        done = through(model, documents, tiny, "d", "--unanswerable", "0.3", "--held-out", "0")
        counted = report(done, folder)
        rows = datasets.read(folder / TRAIN_FILE)
        kinds = Counter(row.get("kind") for row in rows)
        assert kinds["unanswerable"] > 0
        assert kinds["wrong_premise"] > 0
        such = kinds["unanswerable"] + kinds["wrong_premise"]
        assert such == counted["unanswerable"]["wanted"] == round(0.3 * len(rows))
        assert {kind: counted["unanswerable"][kind] for kind in ("unanswerable", "wrong_premise")} == {
            kind: kinds[kind] for kind in ("unanswerable", "wrong_premise")
        }
        assert f"of {such} that were wanted" in done.stderr + done.stdout
        asked = len(model.asked)
        assert (
            report(through(model, documents, tiny, "d", "--unanswerable", "0.3", "--held-out", "0"), folder)["asked"]
            == 0
        )
        assert len(model.asked) == asked
        assert datasets.read(folder / TRAIN_FILE) == rows
