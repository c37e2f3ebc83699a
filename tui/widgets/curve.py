"""Losses of any number of steps in a bounded number of buckets."""

from __future__ import annotations

import math
from typing import NamedTuple

MOST = 2048  # buckets: more than any terminal has dots in a row


class Bucket(NamedTuple):
    """Some steps, one after the other: the first and the last, their lowest and highest loss, their sum, how many."""

    first: float
    last: float
    low: float
    high: float
    sum: float
    steps: int

    def with_next(self, other: Bucket) -> Bucket:
        """Both as one."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        return Bucket(self.first, other.last, low, high, self.sum + other.sum, self.steps + other.steps)


class Curve:
    """Takes steps one by one, in constant memory: where there are too many buckets, each two become one."""

    def __init__(self) -> None:
        self.buckets: list[Bucket] = []
        self._size = 1  # steps of a full bucket

    def add(self, step: float, loss: float) -> None:
        """The next step; a loss that is no number is left out."""
        if not math.isfinite(loss):
            return
        new = Bucket(step, step, loss, loss, loss, 1)
        if self.buckets and self.buckets[-1].steps < self._size:
            self.buckets[-1] = self.buckets[-1].with_next(new)
            return
        self.buckets.append(new)
        if len(self.buckets) > MOST:
            pairs = zip(self.buckets[::2], self.buckets[1::2], strict=False)
            odd = self.buckets[-1:] if len(self.buckets) % 2 else []
            self.buckets = [first.with_next(second) for first, second in pairs] + odd
            self._size *= 2
