"""A row that is shown before it is read: the same tokens are to be predicted, behind an example of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gemmalocal.data.examples import Example
from gemmalocal.data.layout import Layout
from gemmalocal.data.shown import between, shown
from gemmalocal.data.tokenizer import Tokenizer


@pytest.mark.parametrize("form", ["text", "chat"])
def test_the_example_stands_in_front_and_is_not_predicted(form: str, tiny: Path) -> None:
    tokenizer = Tokenizer(tiny)
    ids = np.array(tokenizer.encode("<bos>the quote of a: an x<eos>"), np.int32)
    row = Example(ids, (np.arange(len(ids)) > 4).astype(np.float32), "here")
    after = between(Layout(form), tokenizer)  # type: ignore[arg-type]
    reading = shown(row, after, tokenizer)
    text = tokenizer.decode(reading.ids.tolist(), special=True)
    gap = "<eos>" if form == "chat" else "\n\n"
    assert text == f"<bos>the quote of a: an x{gap}the quote of a: an x<eos>"
    assert reading.ids[reading.weights > 0].tolist() == row.ids[row.weights > 0].tolist()
    assert reading.source == "here"
    assert reading.weights[: len(ids)].sum() == 0
