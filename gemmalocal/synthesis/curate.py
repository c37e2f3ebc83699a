"""All rows together: each once, no file too loud, and some documents held out."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from statistics import median

from gemmalocal.synthesis import ground
from gemmalocal.synthesis.create import Rejection
from gemmalocal.synthesis.piece import Candidate, PassageKey, Piece, passage_key
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


LARGEST = 2  # times the share that is wanted: what a single document may be of it


def held_out(pieces: Sequence[Piece], kept: Sequence[Candidate], share: float) -> tuple[set[PassageKey], str]:
    """The places that are held out, and how they were chosen, as a sentence.

    A document is held out by its content's hash, so that it does not change sides when others join; one with more than
    twice the `share` of all rows never is, since a book would take most of them away. Where that leaves a side without
    rows, the document with the fewest is held out; where a single document has rows, one of its sections, of a single
    section a passage. Of a single passage, or of a share of 0, nothing is.
    """
    if not share:
        return set(), "nothing, as asked"
    rows = Counter(passage_key(candidate.piece) for candidate in kept)
    units_by_name: dict[str, Callable[[Piece], str]] = {
        "documents": lambda piece: piece.document,
        "sections of the only document": lambda piece: f"{piece.document} {piece.passage.heading}",
        "passages of the only section": lambda piece: f"{piece.document} {piece.passage.number}",
    }
    for units, unit_of in units_by_name.items():
        sizes = Counter[str]()
        for piece in pieces:
            sizes[unit_of(piece)] += rows[passage_key(piece)]
        filled = {name for name, size in sizes.items() if size}
        if len(filled) > 1:
            most = LARGEST * share * sum(sizes.values())
            chosen = {name for name, size in sizes.items() if _share(name) < share and size <= most}
            if not 0 < len(chosen & filled) < len(filled):
                chosen = {min(filled, key=lambda name: (sizes[name], name))}
            how = f"{len(chosen & filled)} of {len(filled)} {units}"
            return {passage_key(piece) for piece in pieces if unit_of(piece) in chosen}, how
    return set(), "nothing: all rows are from a single passage"


def _share(name: str) -> float:
    """A number from 0 to 1 that depends on a name alone."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32
