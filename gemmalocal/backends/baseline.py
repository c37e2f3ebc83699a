"""What `bench` compares us with: the recipe and the figures of an engine's stock trainer, whichever engine it is."""

from __future__ import annotations

from typing import Any

RANK, ALPHA, LEARNING_RATE = 8, 16, 1e-4  # bench's recipe


def figures(trainer: str, tokens: int, seconds: float, peak_bytes: int) -> dict[str, Any]:
    """What `train_baseline` gives: the stock trainer's name, what it trained on, how long, and at most in how much."""
    return {
        "trainer": trainer,
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_second": tokens / seconds,
        "peak_bytes": peak_bytes,
    }
