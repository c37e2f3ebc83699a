"""What is to be said of rows that are trained on: columns that are not used, weights, near copies; by kind, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from gemmalocal.data.cells import Columns, missing
from gemmalocal.data.findings import Findings

KNOWN, NAMED = 1000, 12  # names of columns that are counted, and those that are told
SILENT = ("", "__index_level_0__")  # pandas' index
PART_WEIGHT = "has a weight that is neither 0 nor 1, and is trained on as by 1"
TRAILS = "ends with a message that nothing answers, which is not trained on"
NEAR = "is nearly a row before it (the same but for case, width or white space)"


class Remarks:
    """Counts as rows are read; grows by kinds, not by rows."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._unused = Counter[str]()
        self._source = ""

    def at(self, source: str) -> None:
        """The row that is looked at now."""
        self._source = source

    def odd(self, kind: str, example: str = "") -> None:
        """Something about the row at hand."""
        self._findings.warn(kind, self._source, example)

    def columns(self, columns: Columns, used: Collection[str]) -> None:
        """Count the columns of a row that hold something and are not used."""
        for name in columns:
            if name not in used and not missing(columns[name]):
                self.unused(name)

    def unused(self, name: str) -> None:
        """Count one column, or one key of a message (`messages.tool_calls`)."""
        if name not in SILENT and (name in self._unused or len(self._unused) < KNOWN):
            self._unused[name] += 1

    def sentences(self, odd: bool) -> list[str]:
        """All that was counted, as sentences, with the kinds of this module that are `odd` or without them."""
        told = [
            f"{kind.count} {'row' if kind.count == 1 else 'rows'} trained on that may be a mistake: {kind.sources[0]} "
            f"{kind.kind}"
            for kind in self._findings.of("odd")
            if odd and kind.kind in (PART_WEIGHT, TRAILS, NEAR)
        ]
        if self._unused:
            named = [f"{name} ({count})" for name, count in self._unused.most_common(NAMED)]
            more = len(self._unused) - len(named)
            told.append(f"columns not used: {', '.join(named)}{f' and {more} more' if more else ''}")
        return told
