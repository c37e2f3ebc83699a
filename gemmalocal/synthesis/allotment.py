"""How many rows to make of each passage: as many of each, or so many in all, spread by length."""

from __future__ import annotations

from collections.abc import Sequence

from gemmalocal.synthesis.piece import Piece

MOST = 50  # rows of one passage


def wanted_rows(pieces: Sequence[Piece], rows: int | None, per_1000_tokens: float | None) -> int | None:
    """How many rows are wanted in all; None where each passage gives as many as the next."""
    if per_1000_tokens is not None:
        return max(1, round(per_1000_tokens * sum(_length(piece) for piece in pieces) / 1000))
    return rows


def spread(pieces: Sequence[Piece], rows: int) -> list[int]:
    """`rows` over the pieces by their length: evenly along all of the text, so that each document has its share.

    No piece gets more than `MOST`.
    """
    lengths = [_length(piece) for piece in pieces]
    counts, end, given, whole = list[int](), 0, 0, sum(lengths)
    for length in lengths:
        end += length
        due = (2 * rows * end + whole) // (2 * whole)  # how many stand before this end, each in the middle of its part
        counts.append(min(MOST, due - given))
        given = due
    return counts


def evenly(whole: int, count: int) -> list[int]:
    """The places of `count` things out of `whole`, each in the middle of its part."""
    return [(2 * place + 1) * whole // (2 * count) for place in range(count)]


def _length(piece: Piece) -> int:
    """In tokens; of a piece that was never counted, about as many."""
    return max(1, piece.passage.tokens or len(piece.passage.text) // 4)
