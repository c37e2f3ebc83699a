"""All rows together: each once, no file too loud, and what a person decided."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from statistics import median

from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.synthesis import ground
from gemmalocal.synthesis.create import Rejection
from gemmalocal.synthesis.kinds import ASKED_HEADING
from gemmalocal.synthesis.piece import Candidate, passage_key
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


def balanced(
    candidates: Sequence[Candidate], most: float | None, by_score: bool = True
) -> tuple[list[Candidate], list[Rejection]]:
    """At most so many rows of a file, in medians of all files' rows; the best scored stay if wanted, then by hash.

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
        indices.sort(key=lambda index: (-(candidates[index].score or 0) * by_score, candidates[index].record.key))
        dropped.update(indices[limit:])
    reason = f"is beyond its file's share: {counted(limit, 'row')} (--balance)"
    return (
        [candidate for index, candidate in enumerate(candidates) if index not in dropped],
        [(candidates[index], reason) for index in sorted(dropped)],
    )


# Of all rows, what those of rules that ask alike may be; others of a kind have HALF.
SHARES = {ASKED_HEADING: 1.0, "heading": 0.1, "gap": 0.25, "condition": 0.3}
HALF = 0.5
FEW = 20  # rows of a kind that are never too many


def capped(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Rejection]]:
    """No kind of the rules' questions beyond its share of all rows; which stay is by hash.

    A passage keeps its only row, unless that is what stands under a heading: that kind asks for least.
    """
    of_passage = Counter(passage_key(candidate.piece) for candidate in candidates)
    by_kind: dict[str, list[int]] = defaultdict(list)
    for index, candidate in enumerate(candidates):
        if candidate.by == "rules" and candidate.kind:
            by_kind[candidate.kind].append(index)
    dropped = dict[int, str]()
    for kind, indices in by_kind.items():
        limit = max(FEW, int(SHARES.get(kind, HALF) * len(candidates)))
        surplus = len(indices) - limit
        for index in sorted(indices, key=lambda index: candidates[index].record.key):
            place = passage_key(candidates[index].piece)
            if surplus > 0 and (of_passage[place] > 1 or kind == "heading"):
                dropped[index] = (
                    f"is beyond its kind's share: {counted(limit, 'row')} that "
                    f"{plural(limit, 'asks', 'ask')} for a {kind}"
                )
                of_passage[place] -= 1
                surplus -= 1
    return (
        [candidate for index, candidate in enumerate(candidates) if index not in dropped],
        [(candidates[index], reason) for index, reason in sorted(dropped.items())],
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
