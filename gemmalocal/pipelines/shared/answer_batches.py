"""Which rows are read or answered at once, so that their keys and values fit in little memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

TOKENS = 2048  # of all models together that are answered at once, as a chat reads them
SCORED = 1024  # of all models together whose losses are asked for at once
ROWS = 16  # that are answered at once


def batches(numbers: Sequence[int], tokens: Sequence[int], most: int, at_once: int = TOKENS) -> Iterator[list[int]]:
    """Numbers in ascending length, of as many tokens at once as may be, once all are as long as the last."""
    batch: list[int] = []
    for number in numbers:
        if batch and ((len(batch) + 1) * tokens[number] > at_once or len(batch) == most):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch
