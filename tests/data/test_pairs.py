"""Answers that are compared: one border in tokens, together on disk, on one side, and as often."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gemmalocal.data import token_store, token_writer
from gemmalocal.data.chat_template import TURNS
from gemmalocal.data.examples import Example, to_examples
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.errors import DatasetError
from gemmalocal.jobs.events import Notice
from gemmalocal.pipelines.shared.loading import Prepared, prepare
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.data_spec import LongRows
from gemmalocal.records import Message, Record, Rejected
from tests.data.test_examples import GEMMA4, with_template
from tests.data.test_token_store import some_examples
from tests.engine.test_damaged_checkpoints import flip

ASK, GOOD, BAD = Message("user", "the quote"), Message("assistant", "<b>and</b>"), Message("assistant", "an")
MORE = Message("user", "th")
PAIRS = {
    "one answer each": Record("x", (ASK, GOOD), prompt_turns=1, rejected=(BAD,)),
    "under a system message": Record("x", (Message("system", "us"), ASK, GOOD), prompt_turns=2, rejected=(BAD,)),
    "after a conversation": Record("x", (ASK, GOOD, MORE, BAD), prompt_turns=3, rejected=(GOOD,)),
    "several turns against one": Record("x", (ASK, GOOD, MORE, BAD), prompt_turns=1, rejected=(BAD,)),
}
TEMPLATES = {"none": None, "gemma3": TURNS, "gemma4 and its empty thought": GEMMA4}


def examples_of(
    record: Record, tokenizer: Tokenizer, max_length: int = 512, long_rows: LongRows = "cut"
) -> list[Example | Rejected]:
    ((_, examples),) = to_examples([record], tokenizer, max_length, long_rows)
    return examples


def pair_of(record: Record, tokenizer: Tokenizer, max_length: int = 512) -> tuple[Example, Example]:
    chosen, rejected = examples_of(record, tokenizer, max_length)
    assert isinstance(chosen, Example)
    assert isinstance(rejected, Example)
    return chosen, rejected


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("pair", PAIRS)
def test_both_answers_begin_at_the_same_token(tiny: Path, tmp_path: Path, template: str, pair: str) -> None:
    source = TEMPLATES[template]
    tokenizer = Tokenizer(with_template(tiny, tmp_path / "m", source) if source else tiny)
    record = PAIRS[pair]
    chosen, rejected = pair_of(record, tokenizer)
    assert (chosen.label, rejected.label) == (True, False)
    borders = [int(example.weights.argmax()) for example in (chosen, rejected)]
    assert borders[0] == borders[1]
    assert chosen.ids[: borders[0]].tolist() == rejected.ids[: borders[0]].tolist()
    if tokenizer.has_template:  # what the model meets when it is asked
        assert chosen.ids[: borders[0]].tolist() == tokenizer.encode(tokenizer.render(record.prompt, ask=True))
    end = "<turn|>" if source == GEMMA4 else "<end_of_turn>" if source or pair != "one answer each" else "<eos>"
    for example, answer in zip((chosen, rejected), record.answers, strict=True):
        learned = tokenizer.decode(example.ids[example.weights > 0].tolist(), special=True)
        assert learned == "".join(f"{turn.content}{end}" for turn in answer.messages[record.prompt_turns :: 2])


def test_an_answer_may_begin_as_the_empty_thought_does(tiny: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer(with_template(tiny, tmp_path / "m", GEMMA4))
    (example,) = examples_of(Record("x", (ASK, GOOD)), tokenizer)
    assert isinstance(example, Example)
    assert tokenizer.decode(example.ids[example.weights > 0].tolist(), special=True) == "<b>and</b><turn|>"


def test_a_pair_is_left_out_together(tiny: Path) -> None:
    tokenizer = Tokenizer(tiny)
    long = Record("x", (ASK, Message("assistant", "and " * 40)), prompt_turns=1, rejected=(BAD,))
    (reason,) = examples_of(long, tokenizer, 40, "drop")
    assert isinstance(reason, Rejected)
    assert reason.reason.startswith("has a chosen answer that is longer than 40 tokens: it has ")
    for do in ("cut", "split"):
        chosen, rejected = examples_of(long, tokenizer, 40, do)
        assert isinstance(chosen, Example)
        assert isinstance(rejected, Example)
        assert (chosen.cut, rejected.cut, len(chosen.ids)) == (True, False, 40)
    (reason,) = examples_of(long, tokenizer, 3)
    assert isinstance(reason, Rejected)
    assert reason.kind == "has a chosen answer that has no supervised token within 3 tokens"


def stored(folder: Path, count: int, times: list[int] | None = None) -> token_store.Examples:
    """The training side of a store of pairs, the last of them held out."""
    with token_writer.writing(folder) as writer:
        for number, example in enumerate(some_examples(2 * count)):
            writer.add(Example(example.ids, example.weights, f"rows.jsonl:{number // 2}", label=number % 2 == 0))
        held_out = np.repeat(np.arange(count) == count - 1, 2)
        about = {"plain": False, "rows": "pairs"}
        writer.close(held_out, about, times=None if times is None else np.repeat(times, 2))
    train, _, about = token_store.load(folder)
    assert about["rows"] == "pairs"
    return train


def test_pairs_stay_together(tmp_path: Path) -> None:
    train = stored(tmp_path / "s", 9)
    assert (train.kind, train.group, train.groups, len(train)) == ("pairs", 2, 8, 16)
    assert train.indices.tolist() == list(range(16))
    assert train.labels is not None
    assert train.labels.tolist() == [1, 0] * 8
    assert train.labels.dtype == np.int8
    assert [train[3].label, train[4].label] == [False, True]
    assert train.spaced(4).indices.tolist() == [0, 1, 4, 5, 8, 9, 12, 13]
    drawn = train.drawn(3, 1).indices.reshape(3, 2)
    assert (drawn[:, 1] == drawn[:, 0] + 1).all()
    assert (drawn[:, 0] % 2 == 0).all()
    assert train[3:6].indices.tolist() == [2, 3, 4, 5]  # what is parted comes whole
    assert train[:3].sources(4) == ["rows.jsonl:0"] * 2 + ["rows.jsonl:1"] * 2
    assert train[::-1].indices.tolist()[:4] == [14, 15, 12, 13]
    assert train.spaced(8) is train


def test_pairs_are_repeated_whole(tmp_path: Path) -> None:
    train = stored(tmp_path / "s", 4, times=[2, 0, 1, 1])
    assert train.indices.tolist() == [0, 1, 0, 1, 4, 5]
    assert train.labels is not None
    assert train.labels.tolist() == [1, 0] * 3


def test_rows_without_labels_have_no_file_of_them(tmp_path: Path) -> None:
    with token_writer.writing(tmp_path / "s") as writer:
        for example in some_examples(4):
            writer.add(example)
        writer.close(np.zeros(4, bool), {"plain": True})
    train, _, _ = token_store.load(tmp_path / "s")
    assert not (tmp_path / "s" / token_store.LABELS).exists()
    assert (train.kind, train.group, train.labels, train[0].label) == ("", 1, None, None)


@pytest.mark.parametrize("labels", [None, [1, 0, 0, 1], [1, 0], [1, 2, 1, 0], "junk"])
def test_labels_that_do_not_fit_are_damage(tmp_path: Path, labels: list[int] | str | None) -> None:
    stored(tmp_path / "s", 2)
    file = tmp_path / "s" / token_store.LABELS
    if labels is None:
        file.unlink()
    elif isinstance(labels, str):
        file.write_text(labels)
    else:
        np.save(file, np.array(labels, np.int8))
    assert set(token_store.damage(tmp_path / "s")) == {token_store.LABELS}
    with pytest.raises(DatasetError, match=r"labels\.npy is"):
        token_store.load(tmp_path / "s")


def prepared(recipe_path: Path, place: Path, kind: str, rows: list[dict[str, object]]) -> tuple[Prepared, list[str]]:
    """The rows of a recipe with an objective, and what was said about them."""
    file = recipe_path.with_name("judged.jsonl")
    file.write_text("\n".join(map(json.dumps, rows)))
    recipe = recipe_file.load(str(recipe_path), [f"data.path={file}", f"objective.kind={kind}"])
    into = Prepared()
    return into, [event.text for event in prepare(recipe, into, place) if isinstance(event, Notice)]


JUDGED: list[dict[str, object]] = [
    {"prompt": f"of {letter}:", "chosen": f" and {letter}", "rejected": " the quote"} for letter in "abcdefghijklmnop"
]


@pytest.mark.parametrize("kind", ["dpo", "ipo", "orpo", "simpo", "kto", "sft"])
def test_each_objective_gets_its_rows(recipe_path: Path, tmp_path: Path, kind: str) -> None:
    into, said = prepared(recipe_path, tmp_path / "run" / "examples", kind, JUDGED)
    expected = {"kto": "rated", "sft": ""}.get(kind, "pairs")
    assert into.train.kind == into.held_out.kind == expected
    assert len(into.train) + len(into.held_out) == (16 if kind == "sft" else 32)
    if kind == "sft":
        assert into.train.labels is None
        assert said == ["16 rows compare two answers: only the chosen ones are trained on, to be imitated"]
    else:
        assert said == []
        assert into.train.labels is not None
        assert into.train.labels.tolist() == [1, 0] * (len(into.train) // 2)


def test_kto_wants_good_and_bad(recipe_path: Path, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"prompt": f"of {letter}:", "completion": " and", "label": True} for letter in "abcdefgh"
    ]
    with pytest.raises(DatasetError, match="rows to train on are rated good: kto learns what makes them differ"):
        prepared(recipe_path, tmp_path / "run" / "examples", "kto", rows)
    into, said = prepared(recipe_path, tmp_path / "run" / "examples", "sft", rows)
    assert into.train.kind == ""
    assert "8 rows rate an answer: only the 8 good ones are trained on, to be imitated" in said


def test_labels_are_made_again(recipe_path: Path, tmp_path: Path) -> None:
    place = tmp_path / "run" / "examples"
    prepared(recipe_path, place, "dpo", JUDGED)
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    flip(place / token_store.LABELS)
    into, said = prepared(recipe_path, place, "dpo", JUDGED)
    assert "they were made again from the rows, which have not changed" in said
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    assert into.train.kind == "pairs"


def test_a_weight_repeats_whole_pairs(recipe_path: Path, tmp_path: Path) -> None:
    file = tmp_path / "weighed.jsonl"
    file.write_text("\n".join(map(json.dumps, JUDGED)))
    sources = json.dumps([{"path": str(file), "weight": 2}])
    recipe = recipe_file.load(str(recipe_path), [f"data.path={sources}", "objective.kind=dpo"])
    into = Prepared()
    list(prepare(recipe, into, tmp_path / "run" / "examples"))
    numbers = into.train.indices.reshape(-1, 2, 2)
    assert (numbers[:, 0] == numbers[:, 1]).all()
    assert (numbers[..., 1] == numbers[..., 0] + 1).all()
