"""Votes in chats become rows that judge answers, and these a dataset that is listed, changed, and trained on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemmalocal.data import token_writer
from gemmalocal.data.dataset import Records
from gemmalocal.errors import DatasetError
from gemmalocal.files import paths
from gemmalocal.jobs.event_lines import encode
from gemmalocal.jobs.events import Asked, Cleared, Event, Finished, Notice, Read, Replied, Report, Voices, Voted
from gemmalocal.pipelines import prepare
from gemmalocal.pipelines.shared import compared_rows
from gemmalocal.recipe.data_spec import DataSpec
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.workspace import dataset_rows, datasets, preparations, votes
from tests.here import run

SAMPLING = {"temperature": 0.8, "seed": 1}


def asked(turn: int, text: str, *answers: str, system: str = "", stopped: str = "end") -> list[Event]:
    replies: list[Event] = [
        Replied(turn, voice, answer, len(answer.split()), 1.0, 0.1, stopped) for voice, answer in enumerate(answers)
    ]
    return [Asked(turn, text, system, SAMPLING), *replies]


def chat(name: str, events: Sequence[Event], forms: Sequence[str] = ("chat", "chat")) -> Path:
    """A chat's folder, as its job left it."""
    folder = paths.chats() / name
    folder.mkdir(parents=True)
    run = {"name": "mine", "run": str(paths.runs() / "mine")}
    (folder / "job.json").write_text(json.dumps({"kind": "chat", "spec": {"voices": [{**run, "base": True}, run]}}))
    names = ["base", "mine", "other"][: len(forms)]
    whole = [Voices(names, list(forms)), *events, Finished("done")]
    (folder / "events.jsonl").write_text("".join(encode(event, 1e9) + "\n" for event in whole))
    return folder


def said(row: dict[str, Any]) -> list[str]:
    """A row's texts: its prompt, and what was answered."""
    names = [name for name in ("prompt", "chosen", "rejected", "completion") if name in row]
    return [f"{turn['role'][0]}:{turn['content']}" for name in names for turn in row[name]]


def test_a_vote_is_a_row(workspace: Path) -> None:
    folder = chat("chat-1", [*asked(1, "why?", "no", "because", system="be kind"), Voted(1, 1)])
    (vote,) = votes.of_chat(folder)
    assert vote.row == {
        "prompt": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "why?"}],
        "chosen": [{"role": "assistant", "content": "because"}],
        "rejected": [{"role": "assistant", "content": "no"}],
        "chosen_by": "mine",
        "rejected_by": "base",
        "tokens": 2,
        "source": "chat-1",
        "turn": 1,
        "by": "vote",
        "sampling": SAMPLING,
    }


TALK = [*asked(1, "a", "b0", "b1"), *asked(2, "c", "d0", "d1")]
VOTED: dict[str, tuple[list[Event], list[list[str]]]] = {
    "none": (TALK, []),
    "taken back": ([*TALK, Voted(2, 0), Voted(2, None)], []),
    "after a conversation, as the voice had it": ([*TALK, Voted(2, 1)], [["u:a", "a:b1", "u:c", "a:d1", "a:d0"]]),
    "on an earlier turn": ([*TALK, Voted(1, 0)], [["u:a", "a:b0", "a:b1"]]),
    "after all was forgotten": (
        [*asked(1, "a", "b0", "b1"), Cleared(), *asked(2, "c", "d0", "d1"), Voted(2, 0)],
        [["u:c", "a:d0", "a:d1"]],
    ),
    "and on answers that were drawn anew": (
        [*asked(1, "a", "b0", "b1"), Voted(1, 0), *asked(1, "a", "e0", "e1"), Voted(1, 1)],
        [["u:a", "a:b0", "a:b1"], ["u:a", "a:e1", "a:e0"]],
    ),
    "of a tie": ([*TALK, Voted(1, None, "tie")], [["u:a", "a:b0"], ["u:a", "a:b1"]]),
    "of a tie of the same": ([*asked(1, "a", "b", "b"), Voted(1, None, "bad")], [["u:a", "a:b"]]),
}


@pytest.mark.parametrize("case", VOTED)
def test_each_vote_is_the_rows_that_it_says(workspace: Path, case: str) -> None:
    events, rows = VOTED[case]
    found = list(votes.of_chat(chat("chat-1", events)))
    assert [said(vote.row) for vote in found] == rows
    for vote in found:
        assert vote.row.get("label") == ({"tie": True, "same": False}.get(case.split()[-1]))


def test_one_of_three_wins_over_both_others(workspace: Path) -> None:
    events = [*asked(1, "a", "b0", "b1", "b2"), Voted(1, 2)]
    found = list(votes.of_chat(chat("chat-1", events, ("chat",) * 3)))
    assert [(vote.row["chosen_by"], vote.row["rejected_by"]) for vote in found] == [
        ("other", "base"),
        ("other", "mine"),
    ]


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([*asked(1, "a", "b", "b "), Voted(1, 1)], "has answers that are equal"),
        ([*asked(1, "a", "", "b"), Voted(1, 1)], "has an empty answer"),
        ([*asked(1, "a", "b", "c", stopped="asked"), Voted(1, 1)], "has an answer that was stopped"),
        ([*asked(1, "a", "b", ""), *asked(2, "c", "d", "e"), Voted(2, 1)], "has an empty answer before it"),
    ],
)
def test_a_vote_that_cannot_be_learned_from_says_why(workspace: Path, events: list[Event], why: str) -> None:
    assert [vote.lost for vote in votes.of_chat(chat("chat-1", events))] == [why]


def make(folder: Path, **spec: Any) -> list[Event]:
    """The dataset of all chats, made in this process."""
    folder.mkdir(parents=True, exist_ok=True)
    described = {"task": "votes", "sources": list(map(str, votes.chats([]))), **spec}
    (folder / "job.json").write_text(json.dumps({"kind": "prepare", "spec": described}))
    return list(prepare.run(described, folder, list))


def some_chats(count: int = 12) -> None:
    for number in range(count):
        events = [*asked(1, f"why {number}?", f"no {number}", f"because {number}"), Voted(1, 1)]
        events += [*asked(2, "and?", "so", f"then {number}"), Voted(2, None, "bad" if number % 2 else "tie")]
        chat(f"chat-{number}", events)


def test_a_dataset_is_made_and_listed_and_read(workspace: Path) -> None:
    some_chats()
    folder = paths.datasets() / "votes"
    events = make(folder, held_out=0.25)
    report = next(event.data for event in events if isinstance(event, Report))
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert notices[0] == "votes of 12 chats: 12 pairs, 24 answers that are rated good or bad"
    assert notices[1] == "best: mine 12"
    told = [(Path(event.source).name, event.passages) for event in events if isinstance(event, Read)]
    assert sorted(told) == sorted((f"chat-{number}", 3) for number in range(12))
    assert report["train"]["pairs"] + report["held_out"]["pairs"] == 12
    assert preparations.list_all() == [folder]
    assert datasets.find("votes") == folder
    read = Records(DataSpec(path=str(folder)), use="pairs")
    assert len(list(read)) == 12
    rated = list(Records(DataSpec(path=str(folder)), use="rated"))
    assert (len(rated), sum(bool(record.label) for record in rated)) == (48, 24)
    sides = [
        {said(row)[0] for row in datasets.read(folder / name) if "chosen" in row}
        for name in (TRAIN_FILE, HELD_OUT_FILE)
    ]
    assert all(sides)
    assert not sides[0] & sides[1]


@pytest.mark.parametrize(
    ("data", "form", "prompt"),
    [
        ({"path": "x", "template": "Quote: {quote}\nAuthor: {author}"}, "text", "Quote: Imagination is"),
        ({"path": "x"}, "prompt", "Imagination is\n"),
        ({"path": "x"}, "chat", "Imagination is"),
    ],
)
def test_a_prompt_is_as_the_model_met_it(workspace: Path, data: dict[str, Any], form: str, prompt: str) -> None:
    run = paths.runs() / "mine"
    run.mkdir(parents=True)
    spec = {"model": "m", "data": data, "train": {"steps": 1}, "lora": {"rank": 4, "alpha": 8, "dropout": 0}}
    (run / "job.json").write_text(json.dumps({"kind": "train", "spec": spec}))
    with token_writer.writing(run / "examples") as writer:
        writer.close(np.zeros(0, bool), {"plain": False, "between": "\n"})
    compared_rows._row_layout.cache_clear()
    events = [*asked(1, "before", "a", "b"), *asked(2, "Imagination is", " more", " less"), Voted(2, 1)]
    chat("chat-1", events, (form, form))
    folder = paths.datasets() / "votes"
    said_last = [event.text for event in make(folder) if isinstance(event, Notice)][-1]
    assert said_last == (
        "to learn from them: gemmalocal train prefer-votes --set start_from=mine --set model=m --set lora.rank=4 "
        "--set lora.alpha=8"
    )
    (row,) = datasets.read(folder / TRAIN_FILE)
    assert said(row)[-3:] == [f"u:{prompt}", "a: less", "a: more"]
    assert len(row["prompt"]) == (3 if form == "chat" else 1)
    assert votes.model(paths.chats() / "chat-1") == "m"


def test_what_a_person_changes_holds_when_it_is_made_again(workspace: Path) -> None:
    some_chats()
    folder = paths.datasets() / "votes"
    make(folder)
    first, second = datasets.read(folder / TRAIN_FILE)[:2]
    datasets.drop(folder, TRAIN_FILE, first)
    datasets.edit(folder, TRAIN_FILE, second, "better so")
    chat("chat-new", [*asked(1, "a new one?", "no", "yes"), Voted(1, 1)])
    make(folder)
    rows = datasets.read(folder / TRAIN_FILE) + datasets.read(folder / HELD_OUT_FILE)
    assert [dataset_rows.key(row) for row in datasets.read(folder / datasets.REJECTED)] == [dataset_rows.key(first)]
    assert [dataset_rows.origin(row) for row in rows if dataset_rows.answer(row) == "better so"] == [
        dataset_rows.key(second)
    ]
    assert sum(dataset_rows.question(row) == "a new one?" for row in rows) == 1
    assert len(rows) == 36


def test_where_nothing_was_voted_for_it_is_said(workspace: Path) -> None:
    with pytest.raises(DatasetError, match="There is no chat yet"):
        votes.chats([])
    chat("chat-1", TALK)
    with pytest.raises(DatasetError, match="There is no chat 'nowhere'"):
        votes.chats(["nowhere"])
    with pytest.raises(DatasetError, match="No vote that can be learned from was found in 1 chat"):
        make(paths.datasets() / "votes")


def test_the_command_makes_it(workspace: Path) -> None:
    some_chats(4)
    done = run("prepare", "--votes", "chat-0", "chat-1", "--json")
    assert done.returncode == 0, done.stderr
    assert len(list(Records(DataSpec(path=str(paths.datasets() / "votes")), use="pairs"))) == 2
    refused = run("prepare", "--votes", "--judge")
    assert refused.returncode == 2
    assert "--judge does not go with --votes" in refused.stderr
    assert run("prepare").returncode == 2
