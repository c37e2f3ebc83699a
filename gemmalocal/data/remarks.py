"""What is to be said of rows that are trained on: columns that are not used, weights, near copies; by kind, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gemmalocal.data.cells import Columns, is_missing
from gemmalocal.data.findings import Findings

KNOWN, NAMED = 1000, 12  # names of columns that are counted, and those that are told
SORTS = 64  # of rows, by the names of their columns, that are remembered
SILENT = ("", "__index_level_0__")  # pandas' index
HEAVY = "has a weight above 1, and is trained on as if it were 1"
WEIGHED = "has a weight between 0 and 1, which judged answers do not have: it counts as 1"
TRAILS = "ends with a message that nothing answers, which is not trained on"
UNTYPED = "declares a tool's parameter of an unknown type, which is taken for text"
TOLD = "has a system message that tells how to write calls, which is left out: the model's template tells it"
CONTRADICTED = "has a chosen answer whose score is not above that of the rejected one"
NEAR = "nearly repeats an earlier row (only case, width or white space differ)"


class Unused:
    """Columns that rows of the same names have and do not use; counts where something stands in them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = [name for name in names if name not in SILENT]
        self._rows, self._empty = 0, Counter[str]()

    def look(self, columns: Columns) -> None:
        """Count one row."""
        self._rows += 1
        for name in self._names:
            value = columns.get(name)
            if (not value or (value.__class__ is float and value != value)) and is_missing(value):
                self._empty[name] += 1

    def counts(self) -> dict[str, int]:
        """The rows in which something stands, by column."""
        return {name: count for name in self._names if (count := self._rows - self._empty[name])}


class Remarks:
    """Counts as rows are read; grows by kinds, not by rows."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._unused, self._watched = Counter[str](), list[Unused]()
        self.source = ""  # of the row at hand

    def odd(self, kind: str, example: str = "") -> None:
        """Something about the row at hand."""
        self._findings.warn(kind, self.source, example)

    def watch(self, names: Iterable[str]) -> Unused:
        """What will count columns that rows of one sort do not use."""
        if len(self._watched) == SORTS:
            self._fold()
        self._watched.append(Unused(names))
        return self._watched[-1]

    def _fold(self) -> None:
        for unused in self._watched:
            for name, count in unused.counts().items():
                self.unused(name, count)
        self._watched.clear()

    def unused(self, name: str, count: int = 1) -> None:
        """Count one column, or one key of a message (`messages.tool_calls`)."""
        if name in self._unused or len(self._unused) < KNOWN:
            self._unused[name] += count

    def sentences(self, odd: bool) -> list[str]:
        """All that was counted, as sentences, with the kinds of this module that are `odd` or without them."""
        sentences = [
            f"{kind.count} {'row' if kind.count == 1 else 'rows'} trained on that may be a mistake: {kind.sources[0]} "
            f"{kind.kind}"
            for kind in self._findings.of("odd")
            if odd and kind.kind in (HEAVY, WEIGHED, TRAILS, CONTRADICTED, NEAR, UNTYPED, TOLD)
        ]
        self._fold()
        if self._unused:
            named = [f"{name} ({count})" for name, count in self._unused.most_common(NAMED)]
            more = len(self._unused) - len(named)
            sentences.append(f"columns not used: {', '.join(named)}{f' and {more} more' if more else ''}")
        return sentences
