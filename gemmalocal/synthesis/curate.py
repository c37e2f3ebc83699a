"""All rows together: each once, no file too loud, and what a person decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from statistics import median

from gemmalocal.synthesis import ground
from gemmalocal.synthesis.create import Rejection
from gemmalocal.synthesis.piece import Candidate
from gemmalocal.workspace.datasets import DROPPED


def distinct(kept: Sequence[Candidate], rejected: Sequence[Rejection]) -> list[Rejection]:
    """Each rejected record once, and not where its author mended it: asked again, a model repeats itself."""
    seen = {candidate.record.key for candidate in kept}
    distinct_rejections = []
    for candidate, reason in rejected:
        if candidate.record.key not in seen:
            seen.add(candidate.record.key)
            distinct_rejections.append((candidate, reason))
    return distinct_rejections


def unique(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Rejection]]:
    """Each record once, and each question (a second passage may answer it otherwise); the first stays."""
    kept, rejected, seen = list[Candidate](), list[Rejection](), set[object]()
    for candidate in candidates:
        question = ground.normal(candidate.question).rstrip(" ?.!")
        # A row is known by its text, and by its question alone, which another passage may answer otherwise.
        marks = {candidate.record.key} | ({question} if question else set())
        if marks & seen:
            reason = "asks what another row asks" if question in seen else "is the same as another row"
            rejected.append((candidate, reason))
        else:
            kept.append(candidate)
            seen |= marks
    return kept, rejected


def balanced(candidates: Sequence[Candidate], most: float | None) -> tuple[list[Candidate], list[Rejection]]:
    """At most so many rows of a file, in medians of all files' rows; the best scored stay, then by hash.

    Of fewer than three files none is too loud.
    """
    by_file: dict[str, list[int]] = defaultdict(list)
    for index, candidate in enumerate(candidates):
        by_file[candidate.piece.file].append(index)
    if most is None or len(by_file) < 3:
        return list(candidates), []
    limit = max(1, int(most * median(len(indices) for indices in by_file.values())))
    dropped = set[int]()
    for indices in by_file.values():
        indices.sort(key=lambda index: (-(candidates[index].score or 0), candidates[index].record.key))
        dropped.update(indices[limit:])
    reason = f"is beyond its file's share: {limit} rows (--balance)"
    return (
        [candidate for index, candidate in enumerate(candidates) if index not in dropped],
        [(candidates[index], reason) for index in sorted(dropped)],
    )


def with_decisions(
    kept: Sequence[Candidate], rejected: Sequence[Rejection], accepted: Collection[int], dropped: Collection[int]
) -> tuple[list[Candidate], list[Rejection]]:
    """What a person accepted comes back, what one dropped goes; both by the records' keys."""
    back = [candidate for candidate, _ in rejected if candidate.record.key in accepted]
    gone = [(candidate, DROPPED) for candidate in kept if candidate.record.key in dropped]
    return (
        [candidate for candidate in kept if candidate.record.key not in dropped] + back,
        [(candidate, why) for candidate, why in rejected if candidate.record.key not in accepted] + gone,
    )
