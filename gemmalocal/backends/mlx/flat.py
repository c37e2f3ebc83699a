"""Many arrays as one vector, so that what is done to each number takes one kernel and not one for each array."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod

import mlx.core as mx

LANE = 1024  # numbers that are summed in a row, so that a long sum keeps its digits


class FlatLayout:
    """Where each of some arrays, of the given shapes, lies in a vector; its end is filled with zeros to whole lanes."""

    def __init__(self, shapes: Sequence[tuple[int, ...]]) -> None:
        self.shapes = [tuple(shape) for shape in shapes]
        ends = list(accumulate(map(prod, self.shapes)))
        self.borders = [0, *ends]
        self.size = -(-ends[-1] // LANE) * LANE

    def join(self, arrays: Sequence[mx.array]) -> mx.array:
        """The arrays as a vector (size,)."""
        padding = mx.zeros(self.size - self.borders[-1], arrays[-1].dtype)
        return mx.concatenate([*(array.reshape(-1) for array in arrays), padding])

    def split(self, *vectors: mx.array) -> list[mx.array]:
        """The arrays in a vector (size,), or in several that are it one after the other; they are views of them."""
        arrays: list[mx.array] = []
        sections, start, end = iter(vectors), 0, 0  # where the vector at hand begins and ends
        for border, next_border, shape in zip(self.borders, self.borders[1:], self.shapes, strict=False):
            while next_border > end:
                vector = next(sections)
                start, end = end, end + len(vector)
            arrays.append(vector[border - start : next_border - start].reshape(shape))
        return arrays


def squared_norm(vector: mx.array) -> mx.array:
    """The sum of the squares of a vector of whole lanes, in float32."""
    return mx.sum(mx.sum(mx.square(vector).reshape(-1, LANE), axis=1))
