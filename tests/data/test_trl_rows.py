"""Prompt, chosen and rejected ids of 800 rows of eight shapes are those that TRL 1.16 gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gemmalocal.data.chat_template import TURNS, ChatTemplate
from gemmalocal.data.dataset import Records
from gemmalocal.data.examples import Example, to_examples
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.recipe.data_spec import DataSpec
from tests.data import trl_rows
from tests.data.test_rows import write


def kept(shape: str) -> list[list[int]]:
    """The parts of all rows of a shape as TRL gave them, end to end."""
    with np.load(trl_rows.KEPT) as file:
        lengths, ids = file[f"{shape}_lengths"], file[f"{shape}_ids"]
    return [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])]


@pytest.mark.parametrize("shape", trl_rows.SHAPES)
def test_ids_are_those_of_trl(tiny: Path, tmp_path: Path, shape: str) -> None:
    rows = trl_rows.rows(shape)
    in_text = isinstance(rows[0].get("chosen", rows[0].get("completion")), str)
    tokenizer = Tokenizer(tiny) if in_text else Tokenizer(tiny, template=ChatTemplate(TURNS, "Gemma's turns"))
    spec = DataSpec(path=write(tmp_path / "a.jsonl", *rows), split=0, duplicates="keep")
    records = Records(spec, use="rated" if "label" in rows[0] else "pairs")
    made, labels = list[list[int]](), list[bool]()
    for _, examples in to_examples(records, tokenizer, 4096):
        answers = list[list[int]]()
        for example in examples:
            assert isinstance(example, Example)
            border = int(example.weights.argmax())
            prompt = example.ids[:border].tolist()
            answers.append(example.ids[border:].tolist())
            labels.append(bool(example.label))
        made += [prompt, *answers]
    assert made == kept(shape)
    assert labels == [label for row in rows for label in ([row["label"]] if "label" in row else [True, False])]
