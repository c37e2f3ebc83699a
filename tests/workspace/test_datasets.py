"""What a person changes in a dataset: each row in one place, remembered, and no edit of the files lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gemmalocal.errors import DatasetError, JobBusy
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.workspace import dataset_rows, datasets
from gemmalocal.workspace.dataset_rows import Undo
from tests.tui.recorded import hold, prepared


@pytest.fixture
def folder() -> Path:
    return prepared("docs")


def rows(folder: Path) -> dict[str, list[str]]:
    return {name: list(map(dataset_rows.answer, datasets.read(folder / name))) for name in (
        TRAIN_FILE, HELD_OUT_FILE, datasets.REJECTED
    )}  # fmt: skip


def test_a_dropped_row_comes_back_to_its_side(folder: Path) -> None:
    row = datasets.read(folder / HELD_OUT_FILE)[0]
    datasets.drop(folder, HELD_OUT_FILE, row)
    assert rows(folder) == {"train.jsonl": ["row 0", "row 1"], "held_out.jsonl": ["row 3"], "rejected.jsonl": ["row 2"]}
    (gone,) = datasets.read(folder / datasets.REJECTED)
    assert gone["reason"] == "was dropped by hand"
    assert datasets.by_hand(folder).dropped == {dataset_rows.key(row)}
    datasets.accept(folder, [gone])
    assert rows(folder)["held_out.jsonl"] == ["row 3", "row 2"]
    assert datasets.read(folder / HELD_OUT_FILE)[1] == row
    hand = datasets.by_hand(folder)
    assert (hand.accepted, hand.dropped) == ({dataset_rows.key(row)}, set())
    assert datasets.edited(folder) == []


def test_an_edit_is_known_by_what_the_row_was(folder: Path) -> None:
    made = datasets.read(folder / TRAIN_FILE)[0]
    datasets.edit(folder, TRAIN_FILE, made, "better")
    once = datasets.read(folder / TRAIN_FILE)[0]
    datasets.edit(folder, TRAIN_FILE, once, "best")
    now = datasets.read(folder / TRAIN_FILE)[0]
    assert (now["text"], now["by"], now["was"]) == ("best", "hand", dataset_rows.key(made))
    hand = datasets.by_hand(folder)
    assert hand.edited == {dataset_rows.key(made): "best"}
    assert hand.mended(made) == now
    datasets.drop(folder, TRAIN_FILE, now)
    assert datasets.by_hand(folder).dropped == {dataset_rows.key(made)}


def test_of_a_conversation_the_last_answer_is_edited() -> None:
    turns = [{"role": role, "content": f"{role} {number}"} for number in (1, 2) for role in ("user", "assistant")]
    new = dataset_rows.answered({"messages": turns, "evidence": "e"}, "better")
    assert [turn["content"] for turn in new["messages"]] == ["user 1", "assistant 1", "user 2", "better"]
    assert new["evidence"] == "e"
    assert turns[3]["content"] == "assistant 2"


def test_what_was_edited_in_the_file_stays_known(folder: Path) -> None:
    with (folder / TRAIN_FILE).open("a") as file:
        file.write('\n{"text": "mine"}\n')
    datasets.drop(folder, TRAIN_FILE, datasets.read(folder / TRAIN_FILE)[0])
    assert datasets.edited(folder) == [TRAIN_FILE]  # no preparation may write over it
    assert rows(folder)["train.jsonl"] == ["row 1", "mine"]


def test_what_cannot_be_done_changes_nothing(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    row = datasets.read(folder / TRAIN_FILE)[0]
    with pytest.raises(DatasetError, match="not in held_out.jsonl any more"):
        datasets.drop(folder, HELD_OUT_FILE, row)
    with pytest.raises(DatasetError, match="cannot be empty"):
        datasets.edit(folder, TRAIN_FILE, row, " \n")
    with pytest.raises(DatasetError, match="has no row 7"):
        datasets.lines(folder / datasets.REJECTED, [7])
    child = hold(folder)
    with pytest.raises(JobBusy):
        datasets.drop(folder, TRAIN_FILE, row)
    child.communicate("\n")
    (folder / "lock").unlink()
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    (folder / TRAIN_FILE).write_text(json.dumps(row) + "\nnonsense\n")
    with pytest.raises(DatasetError, match=r"train.jsonl:2 is not a row"):
        datasets.read(folder / TRAIN_FILE)


def test_a_change_that_was_cut_short_is_finished_by_the_next(folder: Path) -> None:
    """What a kill leaves: the change is written down, and some of its files are still the old ones."""
    first, second = datasets.read(folder / TRAIN_FILE)[:2]
    before = {name: (folder / name).read_bytes() for name in (*datasets.SIDES, datasets.REPORT)}
    datasets.drop(folder, TRAIN_FILE, first)
    files = [*datasets.SIDES, datasets.BY_HAND, datasets.REPORT]
    after = {name: (folder / name).read_bytes() for name in files}
    change = {name: content.decode() for name, content in after.items()}
    for name, content in before.items():
        (folder / name).write_bytes(content)
    (folder / datasets.BY_HAND).unlink()
    (folder / datasets.CHANGE).write_text(json.dumps(change))
    with datasets.changing(folder):
        pass
    assert {name: (folder / name).read_bytes() for name in files} == after
    assert not (folder / datasets.CHANGE).exists()
    datasets.drop(folder, TRAIN_FILE, second)
    assert datasets.edited(folder) == []


@pytest.mark.parametrize("name", [datasets.BY_HAND, datasets.REPORT])
@pytest.mark.parametrize("content", ["", "null", "[]", "7", "[" * 9000, '{"accepted": 3, "dropped": [], "edited": {}}'])
def test_a_damaged_file_is_a_sentence_that_names_it(folder: Path, name: str, content: str) -> None:
    if name == datasets.REPORT and content.startswith("{"):
        content = "{"
    row = datasets.read(folder / TRAIN_FILE)[0]
    (folder / name).write_text(content)
    with pytest.raises(DatasetError, match=name):
        datasets.drop(folder, TRAIN_FILE, row)
    assert row in datasets.read(folder / TRAIN_FILE)


def test_two_who_change_a_dataset_at_once_do_it_one_after_the_other(folder: Path) -> None:
    row = datasets.read(folder / TRAIN_FILE)[0]
    with datasets.changing(folder), pytest.raises(JobBusy):
        datasets.drop(folder, TRAIN_FILE, row)
    datasets.drop(folder, TRAIN_FILE, row)


def test_any_change_is_taken_back_to_its_place(folder: Path) -> None:
    files = [*datasets.SIDES, datasets.BY_HAND]
    first = datasets.read(folder / TRAIN_FILE)[0]
    datasets.drop(folder, HELD_OUT_FILE, datasets.read(folder / HELD_OUT_FILE)[0])
    rejected = datasets.read(folder / datasets.REJECTED)[0]
    before = [(folder / name).read_text() for name in files]
    changes: list[Callable[[], Undo]] = [
        lambda: datasets.drop(folder, TRAIN_FILE, first),
        lambda: datasets.drop(folder, TRAIN_FILE, *reversed(datasets.read(folder / TRAIN_FILE))),
        lambda: datasets.edit(folder, TRAIN_FILE, first, "better"),
        lambda: datasets.add(folder, TRAIN_FILE, "an answer", "a question?"),
        lambda: datasets.accept(folder, [rejected]),
    ]
    for change in changes:
        done = change()
        assert [(folder / name).read_text() for name in files] != before
        datasets.undo(folder, done)
        assert [(folder / name).read_text() for name in files] == before
    assert datasets.edited(folder) == []


def test_what_was_changed_again_is_not_taken_back(folder: Path) -> None:
    first, second = datasets.read(folder / TRAIN_FILE)
    done = datasets.edit(folder, TRAIN_FILE, first, "better")
    datasets.drop(folder, TRAIN_FILE, second)
    datasets.edit(folder, TRAIN_FILE, datasets.read(folder / TRAIN_FILE)[0], "best")
    with pytest.raises(DatasetError, match="not in train.jsonl any more"):
        datasets.undo(folder, done)
    assert rows(folder)["train.jsonl"] == ["best"]


def test_a_question_is_edited_too_and_a_row_of_ones_own_stays() -> None:
    turns = [{"role": "user", "content": "what?"}, {"role": "assistant", "content": "that."}]
    made = {"messages": turns, "source": "/papers/bees.md"}
    folder = prepared("chats", train=[made])
    datasets.edit(folder, TRAIN_FILE, made, "this.", "which?")
    datasets.add(folder, TRAIN_FILE, "four.", "how many?")
    (now, own) = datasets.read(folder / TRAIN_FILE)
    assert (dataset_rows.question(now), dataset_rows.answer(now)) == ("which?", "this.")
    hand = datasets.by_hand(folder)
    assert hand.mended(made) == now
    kept = datasets.decided(folder, hand, {dataset_rows.key(made)})  # as when the dataset is made again
    assert kept[TRAIN_FILE] == [own]
    with pytest.raises(DatasetError, match="there already"):
        datasets.add(folder, TRAIN_FILE, "four.", "how many?")
    with pytest.raises(DatasetError, match="question cannot be empty"):
        datasets.add(folder, TRAIN_FILE, "four.", " ")
