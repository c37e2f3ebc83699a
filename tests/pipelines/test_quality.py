"""`check --quality`: a dataset of ours and rows from elsewhere, looked at without a model, and with two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.synthesis.retrieval import AMBIGUOUS
from gemmalocal.workspace import datasets
from tests.here import run
from tests.pipelines.preparations import documents, of_files, prepared, told
from tests.synthesis.server import running

__all__ = ["documents"]  # a fixture
ROWS = [
    (
        "What is the lamp of Cape Wrath?",
        "A paraffin burner with six wicks.",
        "The lamp is a paraffin burner with six wicks.",
    ),
    ("How many keepers serve at Cape Wrath?", "Three keepers.", "Three keepers serve in watches of four hours."),
    ("When was the lens of Cape Wrath made?", "It was made in 1872.", "The lens of glass was made in 1871."),
    ("What is the name?", "It has no name.", ""),
    ("What is the name of it?", "The name is Sam.", ""),
    ("What is the lamp of Cape Wrath?", "A paraffin burner with six wicks. ", ""),
]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Rows that another tool made."""
    path = tmp_path / "elsewhere.jsonl"
    rows = [{"question": question, "answer": answer, "context": context} for question, answer, context in ROWS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{torn\n")
    return path


def looked_at(*args: str) -> dict[str, Any]:
    done = run("check", "--quality", "--json", *args)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_rows_from_elsewhere(elsewhere: Path) -> None:
    report = looked_at(str(elsewhere))
    assert (report["rows"], report["left_out"], report["near_copies"]) == (6, 1, 1)
    assert report["agrees"] == {"checked": 3, "rows": 2}
    assert report["fits"] == {"checked": 3, "rows": 3}
    assert "1872" in report["faults"]["agrees"][0]["answer"]
    vague = {fault["question"] for fault in report["faults"]["stands_alone"]}
    assert "What is the name?" in vague
    assert "How many keepers serve at Cape Wrath?" not in vague
    assert report["known"]["checked"] == 0
    assert [document["rows"] for document in report["documents"]] == [6]
    table = run("check", "--quality", str(elsewhere)).stdout
    assert "6 rows, 1 of them near copies of others; 1 could not be read" in table
    assert "2 of 3 rows with evidence have their answer's words in it" in table
    assert "could be asked of" in table


def test_a_row_whose_answer_is_not_what_its_question_asks_for_does_not_fit(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    row = {"question": "How many keepers has Cape Wrath?", "answer": "It has keepers of its own."}
    blank = {"question": " \n", "answer": "It has keepers."}
    context = "Cape Wrath has keepers of its own, and they are paid for that in coal."
    rows.write_text("".join(json.dumps({**each, "context": context}) + "\n" for each in (row, blank)))
    report = looked_at(str(rows))
    assert report["fits"] == {"checked": 1, "rows": 0}
    assert "asks how many, and its answer has no number" in report["faults"]["fits"][0]["why"]
    table = run("check", "--quality", str(rows)).stdout
    assert "0 of 1 rows with evidence fit" in table
    assert "The first that do not fit:" in table


def test_with_an_author_and_a_model(elsewhere: Path, tiny: Path) -> None:
    def author(body: dict[str, Any]) -> str:
        asked = body["messages"][0]["content"]
        return "In 1872, I think." if "When" in asked else "Two cooks." if "keepers serve at" in asked else "A burner."

    with running() as model:
        model.answer = author
        report = looked_at(str(elsewhere), "--endpoint", model.url, "--known", str(tiny))
    assert report["asked_again"]
    assert report["agrees"] == {"checked": 3, "rows": 2}
    assert [fault["question"] for fault in report["faults"]["agrees"]] == [ROWS[1][0]]
    assert report["known"] == {"checked": 6, "rows": 0}  # its weights are random


def test_a_dataset_that_was_prepared_here(documents: Path, tiny: Path, workspace: Path) -> None:
    made = told(prepared(documents, tiny, "mine", "--author", "rules", "--known", "keep", "--json"))
    files = of_files(workspace / "datasets" / "mine")
    rows = files[TRAIN_FILE] + files[HELD_OUT_FILE]
    refused = made["rejected"].get(AMBIGUOUS, 0)
    asked = {"alone": len(rows), "alone_asked": len(rows) + refused, "known": 0, "known_asked": len(rows)}
    assert made["quality"] == {"questions": len(rows), **asked}
    assert [row["known"] for row in rows] == [False] * len(rows)
    report = looked_at("mine")
    assert report["rows"] == len(rows)
    assert report["faults"]["stands_alone"] == []
    assert report["stands_alone"] == {"checked": len(rows), "rows": len(rows)}
    assert report["agrees"] == {"checked": len(rows), "rows": len(rows)}
    assert sorted(Path(document["document"]).name for document in report["documents"]) == ["bees.md", "light.md"]
    assert not datasets.edited(workspace / "datasets" / "mine")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["no-such", "--quality"], "There is no dataset 'no-such'"),
        (["quotes", "--known", "m"], "--known needs --quality"),
        (["ROWS", "--quality", "--key-env", "K"], "--key-env needs --endpoint"),
        (["ROWS", "--quality", "--endpoint", "here"], "url must begin with http"),
    ],
)
def test_what_does_not_fit_is_a_sentence(elsewhere: Path, args: list[str], says: str) -> None:
    done = run("check", *[str(elsewhere) if arg == "ROWS" else arg for arg in args])
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
