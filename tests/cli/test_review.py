"""Rows rated at a terminal by keys, and out of a pipe; what is said of a dataset that was rated."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.workspace import datasets, ratings
from tests.here import run
from tests.workspace.test_ratings import judged, rate_all


def test_rows_are_rated_gone_on_with_and_the_threshold_is_applied_when_one_says_so(workspace: Path) -> None:
    folder = judged()
    first = run("prepare", "docs", "--review", given="g\nb\nx\nu\ng\ns\nq\n")
    assert first.returncode == 0, first.stderr
    assert "Row 1 of 25" in first.stdout
    assert "Question " in first.stdout
    assert "evidence " in first.stdout
    assert "score" not in first.stdout.replace("scored", "")
    assert list(ratings.opened(folder).ratings.values()) == ["good", "good", "skip"]
    assert "2 of 2 rated good by you" in first.stdout
    assert "22 rows are left" in first.stderr
    rate_all(folder, good=9)
    proposal = ratings.opened(folder).proposal
    assert proposal is not None
    no = run("prepare", "docs", "--review", given="n\n")
    assert f"A threshold of {proposal.threshold} separates them best" in no.stdout
    assert ratings.chosen(folder) is None
    assert "Nothing was changed" in no.stderr
    yes = run("prepare", "docs", "--review", given="y\n")
    assert "rejected" in yes.stdout
    assert ratings.chosen(folder) == proposal.threshold
    rows = datasets.read(folder / TRAIN_FILE) + datasets.read(folder / HELD_OUT_FILE)
    assert min(row["score"] for row in rows) >= proposal.threshold
    assert "It is applied already" in run("prepare", "docs", "--review").stderr
    told = json.loads(run("prepare", "docs", "--review", "--json").stdout)
    assert (told["waiting"], told["threshold"]) == (0, proposal.threshold)
    assert told["proposal"]["threshold"] == proposal.threshold
    listed = run("datasets")
    assert "docs" in listed.stdout
    assert "rated good by you" in listed.stdout
    (one,) = map(json.loads, run("datasets", "--json").stdout.splitlines())
    assert (one["name"], one["train"] + one["held_out"]) == ("docs", len(rows))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing", "--review"], "There is no dataset 'nothing'"),
        (["docs", "other", "--review"], "--review takes one dataset"),
        (["docs", "--review", "--pairs", "3"], "--pairs does not go with --review"),
        (["docs", "--review", "--to", "x"], "--to does not go with --review"),
    ],
)
def test_what_does_not_fit_is_a_sentence(workspace: Path, words: list[str], says: str) -> None:
    judged()
    done = run("prepare", *words)
    assert done.returncode == 2
    assert says in done.stderr


def test_keys_are_enough_at_a_terminal(workspace: Path) -> None:
    folder = judged()
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gemmalocal", "prepare", "docs", "--review"]
    child = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    os.close(theirs)
    assert child.stdout is not None
    shown = ""
    os.write(ours, b"g")  # also what is pressed before it is asked for
    for key in ("\x1b[A", "b", "q"):  # an arrow says nothing
        while "q quit" not in (line := child.stdout.readline()):
            assert line, shown
            shown += line
        os.write(ours, key.encode())
    child.communicate()
    os.close(ours)
    assert child.returncode == 0
    assert list(ratings.opened(folder).ratings.values()) == ["good", "bad"]
