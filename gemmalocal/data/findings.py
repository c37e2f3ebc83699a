"""What was found wrong or odd with rows, by kind: counted, with the first sources and one example."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from gemmalocal.records import Rejected

LEFT_OUT, ODD = "left out", "odd"
NAMED, SHOWN = 5, 200  # sources that a kind remembers, and characters of its example


@dataclass
class ProblemKind:
    """One kind of problem: `effect` is `LEFT_OUT` or `ODD` (trained on all the same)."""

    effect: str
    kind: str
    count: int = 0
    sources: list[str] = field(default_factory=list)  # the first few
    detail: str = ""  # of the first: what is wrong
    example: str = ""  # and the row itself, or the place in it


class Findings:
    """Grows by kinds, not by rows."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], ProblemKind] = {}

    def reject(self, row: Rejected) -> None:
        """Count a row that is left out."""
        self._count(LEFT_OUT, row.kind, row.source, row.detail, row.excerpt)

    def warn(self, kind: str, source: str, example: str, rows: int = 1) -> None:
        """Count rows that are odd."""
        self._count(ODD, kind, source, "", example, rows)

    def _count(self, effect: str, kind: str, source: str, detail: str, example: str, rows: int = 1) -> None:
        new = ProblemKind(effect, kind, detail=detail[:SHOWN], example=example[:SHOWN])
        problem = self._kinds.setdefault((effect, kind), new)
        problem.count += rows
        if len(problem.sources) < NAMED:
            problem.sources.append(source)

    def of(self, effect: str) -> list[ProblemKind]:
        """The kinds of one effect, most frequent first."""
        return sorted((kind for kind in self._kinds.values() if kind.effect == effect), key=lambda kind: -kind.count)

    @property
    def left_out(self) -> int:
        """How many rows are left out."""
        return sum(kind.count for kind in self.of(LEFT_OUT))

    def notices(self) -> list[str]:
        """What a person should know about the rows that are left out, as sentences."""
        return [
            f"{kind.count} {'row' if kind.count == 1 else 'rows'} left out: {kind.sources[0]} {kind.kind}"
            f"{f': {kind.detail}' if kind.detail else ''}"
            for kind in self.of(LEFT_OUT)
        ]

    def report(self) -> list[dict[str, Any]]:
        """All kinds as JSON objects, what is left out first."""
        return [asdict(kind) for kind in (*self.of(LEFT_OUT), *self.of(ODD))]
