"""Rows as they are trained, page by page, from a real child; and which rows a person may mean."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.errors import DatasetError
from gemmalocal.files import paths
from gemmalocal.jobs import processes
from gemmalocal.jobs.events import Declined, Event, Failed, Finished, Found, Report, Rows
from gemmalocal.pipelines.rows import run
from gemmalocal.recipe import recipe_file
from gemmalocal.workspace import rows as views
from tests.tui.recorded import RUNS, prepared, record
from tui.widgets.row_card import as_trained, as_written


@contextmanager
def asked(view: views.View) -> Iterator[tuple[processes.Job, list[Event]]]:
    """The job of a view, and all that it has said so far."""
    job, said = processes.errand("rows", view.spec), list[Event]()
    try:
        yield job, said
    finally:
        job.kill()


def wait(job: processes.Job, said: list[Event], kind: type[Event], count: int = 1) -> Any:
    """The newest event of a kind, once there are so many."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        said += job.poll()
        found = [event for event in said if isinstance(event, kind)]
        if len(found) >= count:
            return found[-1]
        time.sleep(0.02)
    raise AssertionError(f"no {kind.__name__}: {said}")


def test_pages_are_what_is_trained_and_are_read_again(rows_view: views.View) -> None:
    path = Path(rows_view.spec["data"]["path"])
    with asked(rows_view) as (job, said):
        report = wait(job, said, Report).data
        assert report["train"]["rows"] + report["held_out"]["rows"] == 40
        job.ask(do="page", side="train", first=3, count=2)
        page = wait(job, said, Rows)
        assert (page.side, page.first, len(page.rows)) == ("train", 3, 2)
        (given, trained) = page.rows[0]["pieces"]
        line = json.loads(path.read_text().splitlines()[int(page.rows[0]["source"].rpartition(":")[2]) - 1])
        assert given == [f"<bos>{line['prompt']}", False]
        assert trained == [f"{line['completion']}<eos>", True]
        assert page.rows[0]["supervised"] < page.rows[0]["tokens"]
        wanted = given[0].removeprefix("<bos>").upper()
        job.ask(do="find", side="train", text=wanted)
        found = wait(job, said, Found)
        assert 3 in found.places
        job.ask(do="find", side="train", text="", lines={path.name: [1, 2, 3]})
        assert len(wait(job, said, Found, 2).places) <= 3
        job.ask(do="page", side="nonsense", first=0, count=1)
        assert "train or held_out" in wait(job, said, Declined).why
        job.ask(do="dance")
        assert "dance" in wait(job, said, Declined, 2).why
        with path.open("a") as file:
            file.write('\n{"prompt": "a new one", "completion": " yes"}')
        job.ask(do="again")
        again = wait(job, said, Report, 2).data
        assert again["train"]["rows"] + again["held_out"]["rows"] == 41
        job.ask(do="page", side="train", first=10_000, count=5)
        assert wait(job, said, Rows, 2).rows == []
        job.ask(do="end")
        assert wait(job, said, Finished).outcome == "done"


def test_of_a_long_row_the_middle_is_only_counted(tmp_path: Path, tiny: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text("\n".join(json.dumps({"text": "the end " * count}) for count in (1, 5000)))
    spec = {"model": str(tiny), "data": {"path": str(path), "max_length": 100_000, "split": 0}, "train": {"epochs": 1}}
    with asked(views.View("long", spec, None)) as (job, said):
        wait(job, said, Report)
        job.ask(do="page", side="train", first=0, count=2)
        short, long = wait(job, said, Rows).rows
    assert short["hidden"] == 0
    assert "end" not in short
    assert long["hidden"] == long["tokens"] - 4096
    assert long["end"][-1][0].endswith("the end <eos>")


def test_rows_that_cannot_be_had_are_a_sentence(tiny: Path) -> None:
    spec = {"model": str(tiny), "data": {"path": "/no/such.jsonl"}, "train": {"epochs": 1}}
    with asked(views.View("none", spec, None)) as (job, said):
        assert "no such file" in wait(job, said, Failed).message


@pytest.fixture
def rows_view(recipe_path: Path) -> views.View:
    return views.view(str(recipe_path))


def test_which_rows_are_meant(recipe_path: Path, rows: Path) -> None:
    dataset = prepared("docs")
    assert views.view("docs").folder == views.view(str(dataset)).folder == dataset
    assert views.view("docs").model == "gemma-3-270m-demo"
    assert views.view(str(recipe_path)).spec["data"]["max_length"] == 64
    assert views.view(str(rows)).folder is None
    assert views.view("hf:owner/name").spec["data"]["path"] == "hf:owner/name"
    with pytest.raises(DatasetError, match="There are no rows"):
        views.view("nowhere.jsonl")
    run = record("tuned", RUNS["finished"])
    job = json.loads((run / "job.json").read_text())
    spec = {**job["spec"], "data": {"path": str(dataset), "max_length": 77}, "train": {"steps": 1}}
    (run / "job.json").write_text(json.dumps({**job, "spec": spec}))
    assert views.view("docs").spec["data"]["max_length"] == 77  # as the run on it reads it
    assert views.view(str(run)).folder == dataset
    broken = paths.runs() / "broken"
    broken.mkdir()
    (broken / "job.json").write_text("{}")
    assert {name for name, _, _ in views.offers()} >= {"docs", "quotes", "tuned"}


def browsed(spec: dict[str, Any], folder: Path, *wishes: dict[str, Any]) -> list[Event]:
    """What the job says of rows, in this process."""
    waiting = [*wishes, {"do": "end"}]
    return list(run(spec, folder, lambda: [waiting.pop(0)] if waiting else []))


def test_pairs_are_browsed_with_both_answers(recipe_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"of {n}:", "chosen": f" the quote {n}", "rejected": " an and"} for n in range(9)]
    path.write_text("\n".join(map(json.dumps, rows)))
    model = str(recipe_file.load(str(recipe_path)).model)
    spec = {"model": model, "data": {"path": str(path), "split": 0}, "train": {"epochs": 1}}
    page, find = {"do": "page", "side": "train", "first": 4, "count": 3}, {"do": "find", "side": "train", "text": "and"}
    said = browsed(spec, tmp_path / "a", page, find, {**find, "text": "quote 4"})
    report = next(event.data for event in said if isinstance(event, Report))
    assert report["train"]["rows"] == 9
    assert report["train"]["judged"] == {
        "kind": "pairs", "good": 9, "bad": 9, "good_median": 8, "bad_median": 5, "chosen_longer": 1.0
    }  # fmt: skip
    (shown,) = (event.rows for event in said if isinstance(event, Rows))
    assert [row["source"] for row in shown] == [f"pairs.jsonl:{number}" for number in (5, 6, 7)]
    assert shown[0]["pieces"] == [("<bos>of 4:", False), (" the quote 4<eos>", True)]
    assert shown[0]["rejected"]["pieces"] == [(" an and<eos>", True)]
    assert [event.places for event in said if isinstance(event, Found)] == [list(range(9)), [4]]
    assert "rejected, 5 tokens" in as_trained(shown[0]).plain
    imitated = browsed({**spec, "objective": {"kind": "sft"}}, tmp_path / "b", page)
    (shown,) = (event.rows for event in imitated if isinstance(event, Rows))
    assert "rejected" not in shown[0]


def test_pairs_and_thumbs_are_browsed_as_thumbs(recipe_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    rows: list[dict[str, Any]] = [{"prompt": "of a:", "chosen": " the", "rejected": " an"}]
    rows.append({"prompt": "of b:", "completion": " and", "label": False})
    path.write_text("\n".join(map(json.dumps, rows)))
    model = str(recipe_file.load(str(recipe_path)).model)
    spec = {"model": model, "data": {"path": str(path), "split": 0}, "train": {"epochs": 1}}
    said = browsed(spec, tmp_path / "a", {"do": "page", "side": "train", "first": 0, "count": 9})
    (shown,) = (event.rows for event in said if isinstance(event, Rows))
    assert [(row["source"][-1], row["label"]) for row in shown] == [("1", True), ("1", False), ("2", False)]
    assert as_trained(shown[2]).plain == "rated bad\n<bos>of b: and<eos>"


def test_judged_rows_are_shown_as_they_are_written() -> None:
    prompt, answers = [{"role": "user", "content": "why?"}], [[{"role": "assistant", "content": text}] for text in "ab"]
    pair = as_written({"prompt": prompt, "chosen": answers[0], "rejected": answers[1]})
    assert pair.plain == "user  why?\nchosen\nassistant  a\nrejected\nassistant  b"
    rated = as_written({"prompt": prompt, "completion": answers[0], "label": False})
    assert rated.plain == "user  why?\ncompletion bad\nassistant  a"
