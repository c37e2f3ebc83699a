"""Rows as a model meets them that is shown each one before it reads it (self-distillation, 2601.19897)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gemmalocal.data.examples import Example
from gemmalocal.data.layout import Layout
from gemmalocal.data.tokenizer import Tokenizer

BETWEEN = "\n\n"  # after an example that ends with no turn of its own


def between(layout: Layout, tokenizer: Tokenizer) -> list[int]:
    """The ids after an example: none in a chat, where a turn ends it."""
    return [] if layout.form == "chat" else tokenizer.encode(BETWEEN)


def shown(row: Example, between: list[int], tokenizer: Tokenizer, by: Example | None = None) -> Example:
    """A row behind an example, itself unless given, which is not predicted: the same tokens are, in the same order."""
    opening = int(len(row.ids) > 0 and row.ids[0] == tokenizer.bos_id)
    example: NDArray[np.int32] = (by or row).ids
    if between and len(example) and tokenizer.decode([int(example[-1])], special=True) == tokenizer.eos:
        example = example[:-1]
    front = np.concatenate([example, np.array(between, np.int32)])
    ids = np.concatenate([front, row.ids[opening:]]).astype(np.int32)
    weights = np.concatenate([np.zeros(len(front), np.float32), row.weights[opening:]])
    if not opening:  # nothing predicted the first token before
        weights[len(front)] = 0
    return replace(row, ids=ids, weights=weights)
