"""The rows of a preparation as they come, in the order of their pieces, and why others were lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from gemmalocal.jobs.events import Counted
from gemmalocal.pipelines.shared.authors import Author
from gemmalocal.pipelines.shared.judges import Judge
from gemmalocal.recipe.prepare_schema import AskedAbout
from gemmalocal.synthesis import rules
from gemmalocal.synthesis.asking import Remembered, Usage
from gemmalocal.synthesis.create import PieceResult, Rejection
from gemmalocal.synthesis.piece import Candidate, Piece


@dataclass
class PreparedRows:
    """The rows of a preparation as they come: kept, rejected and missing ones, with the reasons counted."""

    author: Author
    gaps: bool = False  # whether rules were to ask for words that are left out
    kept: list[Candidate] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    losses: Counter[str] = field(default_factory=Counter)  # why an author failed, and for how many pieces
    without_rows: Counter[str] = field(default_factory=Counter)  # why pieces gave no row at all, and how many
    reasons: dict[int, str] = field(default_factory=dict)  # the same of each piece, by its id
    order: dict[int, int] = field(default_factory=dict)  # when a record first came, by its key: a judge's come anyhow
    wanted: int | None = None  # rows in all, if so many were asked for
    unanswerable: int = 0  # rows wanted whose answers say that there is none
    about: AskedAbout = "auto"  # what the author was asked about; auto: it was not asked
    asked: int = 0
    reused: int = 0  # answers that were there already
    usage: Usage = Usage()  # of both
    judge: Judge | None = None

    def add(self, result: PieceResult) -> None:
        """Add what came of a piece, or of a judgement."""
        self.kept += result.kept
        self.about = self.about if result.about == "auto" else result.about
        self.rejected += result.rejected
        for candidate in (*result.kept, *(candidate for candidate, _ in result.rejected)):
            self.order.setdefault(candidate.record.key, len(self.order))
        if not result.kept and result.rejected:
            self.reasons[id(result.piece)] = f"a row {result.rejected[-1][1].partition(': ')[0]}"
        elif not result.kept:
            reason = rules.silence(result.piece, self.gaps)
            self.without_rows[reason] += 1
            self.reasons[id(result.piece)] = f"such {reason}"
        if result.lost:
            self.losses[result.lost.partition(": ")[0].partition(" (")[0]] += 1

    def sort(self, pieces: Sequence[Piece]) -> None:
        """Bring all rows into the order of their pieces, whichever was ready first."""
        place, last = {id(piece): number for number, piece in enumerate(pieces)}, len(self.order)
        self.kept.sort(key=lambda row: (place[id(row.piece)], self.order.get(row.record.key, last)))
        self.rejected.sort(key=lambda row: (place[id(row[0].piece)], self.order.get(row[0].record.key, last)))

    def count(self, remembered: Remembered) -> None:
        """Add what was asked, and what that cost."""
        self.asked += remembered.asked
        self.reused += remembered.reused
        self.usage = self.usage.plus(remembered.usage)

    def counted(self) -> Counted:
        """How many rows there are so far."""
        return Counted(len(self.kept), reasons(self.rejected))


def reasons(rejected: Sequence[Rejection]) -> dict[str, int]:
    """How many were rejected for each kind of reason, the most frequent first."""
    return dict(Counter(reason.partition(": ")[0] for _, reason in rejected).most_common())
