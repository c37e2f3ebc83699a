"""Rows longer than max_length: cut, dropped or split, and what is read at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gemmalocal.data.examples import BLOCK_ROWS, Example, decode_example, to_examples
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.recipe.data_spec import LongRows
from gemmalocal.records import Message, Record, Rejected
from tests.data.single import to_example

TEXT = Record("t", text="the quote and the quo, " * 20)
SYSTEM = Message("system", "be kind")
TALK = Record(
    "c",
    (
        SYSTEM,
        *(
            message
            for number in range(7)
            for message in (Message("user", f"ask {number}"), Message("assistant", f"say {number} " * 3))
        ),
    ),
)


def examples_of(record: Record, tokenizer: Tokenizer, max_length: int, do: LongRows) -> list[Example]:
    ((_, several),) = to_examples([record], tokenizer, max_length, do)
    return [one for one in several if isinstance(one, Example)]


def learned(example: Example, tokenizer: Tokenizer) -> str:
    return "".join(text for text, supervised in decode_example(example, tokenizer) if supervised)


def test_plain_text_becomes_windows_that_lose_nothing(tiny: Path) -> None:
    tokenizer = Tokenizer(tiny)
    windows = examples_of(TEXT, tokenizer, 50, "split")
    assert len(windows) > 3
    whole = to_example(TEXT, tokenizer, 10_000)
    assert isinstance(whole, Example)
    assert np.concatenate([window.ids[1:] for window in windows]).tolist() == whole.ids[1:].tolist()
    sizes = [len(window.ids) for window in windows]
    assert max(sizes) <= 50
    assert max(sizes) - min(sizes) <= 1
    for window in windows:
        assert window.ids[0] == tokenizer.bos_id
        assert window.weights.tolist() == [0.0] + [1.0] * (len(window.ids) - 1)


def test_a_conversation_is_split_between_turns_under_its_system_message(tiny: Path) -> None:
    tokenizer = Tokenizer(tiny)
    limit = 150
    parts = examples_of(TALK, tokenizer, limit, "split")
    whole = examples_of(TALK, tokenizer, 10_000, "cut")[0]
    assert len(parts) > 1
    assert all(len(part.ids) <= limit and not part.cut for part in parts)
    assert "".join(learned(part, tokenizer) for part in parts) == learned(whole, tokenizer)
    for part in parts:
        text = tokenizer.decode(part.ids.tolist(), special=True)
        assert text.startswith("<bos><start_of_turn>user\nbe kind\n\nask")


def test_one_exchange_cannot_be_split_and_is_cut(tiny: Path) -> None:
    record = Record("p", (Message("user", "the"), Message("assistant", "quote " * 40)))
    (only,) = examples_of(record, Tokenizer(tiny), 30, "split")
    assert only.cut
    assert len(only.ids) == 30


@pytest.mark.parametrize("record", [TEXT, TALK])
def test_drop_says_how_long_it_was(tiny: Path, record: Record) -> None:
    ((_, (dropped,)),) = to_examples([record], Tokenizer(tiny), 30, "drop")
    assert isinstance(dropped, Rejected)
    assert dropped.kind == "is longer than 30 tokens"
    assert dropped.detail.startswith("it has ")


@pytest.mark.parametrize("do", ["cut", "drop", "split"])
def test_a_row_that_fits_is_left_alone(tiny: Path, do: LongRows) -> None:
    (only,) = examples_of(Record("x", text="the quote"), Tokenizer(tiny), 64, do)
    assert not only.cut


def test_a_block_gives_what_each_row_alone_gives(tiny: Path) -> None:
    tokenizer = Tokenizer(tiny)
    records = [TEXT, TALK, *(Record(str(number), text="the " * number) for number in range(1, 40))]
    for record, (example,) in to_examples(records, tokenizer, 64):
        alone = to_example(record, tokenizer, 64)
        assert isinstance(example, Example)
        assert isinstance(alone, Example)
        assert (example.ids == alone.ids).all()
        assert (example.weights == alone.weights).all()
        assert example.source == record.source


@pytest.mark.parametrize(("size", "ahead"), [(8, BLOCK_ROWS), (200_000, 6)])
def test_rows_flow(tiny: Path, size: int, ahead: int) -> None:
    """However many rows come, only a block of them, by count and by characters, is held."""
    read = 0

    def endless() -> Iterator[Record]:
        nonlocal read
        while True:
            read += 1
            yield Record(str(read), text="t" * size)

    flow = to_examples(endless(), Tokenizer(tiny), 8)
    for seen in range(1, 3 if size > 8 else 2000):
        next(flow)
        assert read <= seen + ahead
