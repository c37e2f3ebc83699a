"""A row as a card: what is trained bright, what is given dim, so that a missing terminator or a double BOS is seen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textual.content import Content
from textual.widgets import Static

from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.jobs.terminal_text import printable
from gemmalocal.workspace.covered import FACTS
from tui.widgets.marks import bar

TRAINED, GIVEN = "", "$text-muted"  # bright and dim: to be told apart without colours too
SOUGHT = "reverse"
JUDGED = ("prompt", "chosen", "rejected", "completion")  # of a row that compares answers, or rates one
KINDS = 5  # kinds of problems, or reasons, that the numbers name


class RowCard(Static):
    """Handed a row by `show`."""

    DEFAULT_CSS = """
    RowCard { height: auto; padding: 0 1; border-left: blank; margin: 0 0 1 0; }
    RowCard.current { border-left: thick $primary; }
    """

    _shown: tuple[str, str, Content] | None = None

    def show(self, head: str, right: str, body: Content, width: int) -> int:
        """A line about the row, its figures at the right, and its text; how many lines that is at least.

        `width` is about what there is; once it is laid out, the card knows.
        """
        self.display = True
        self._shown = head, right, body
        self._lay_out(self.content_size.width or width)
        return 2 + sum(1 + len(line) // max(1, width) for line in body.plain.split("\n"))

    def on_resize(self) -> None:
        """The figures stay at the right."""
        self._lay_out(self.content_size.width)

    def _lay_out(self, width: int) -> None:
        if self._shown is not None:
            head, right, body = self._shown
            gap = width - len(head) - len(right)
            between = " " * gap if gap > 1 or not right else "\n"
            self.update(Content.assemble((head, "bold"), between, (right, "$text-muted"), "\n", body))


def as_trained(row: Mapping[str, Any]) -> Content:
    """A row out of `pipelines.check.page`; of a pair both answers, the chosen one first, of a rated one its label."""
    parts = list(_pieces(row["pieces"]))
    if "label" in row:
        parts.insert(0, Content.styled("rated good\n" if row["label"] else "rated bad\n", "bold $secondary"))
    if row["hidden"]:
        hidden = f"{row['hidden']:,} more {plural(row['hidden'], 'token')}"
        parts.append(Content.styled(f"\n… {hidden}, trained on too …\n", "$text-warning"))
        parts += _pieces(row["end"])
    if other := row.get("rejected"):
        parts += [
            Content.styled(f"\nrejected, {counted(other['supervised'], 'token')}\n", "bold $secondary"),
            as_trained(other),
        ]
    return Content.assemble(*parts)


def as_written(row: Mapping[str, Any]) -> Content:
    """A row of a dataset as it is written, where no tokenizer has seen it."""
    if isinstance(row.get("prompt"), list):
        return _as_judged(row)
    if "messages" not in row:
        return Content.styled(_visible(str(row.get("text", ""))), TRAINED)
    return _turns(row["messages"])


def _as_judged(row: Mapping[str, Any]) -> Content:
    """A prompt and what was answered: the chosen and the rejected one, or one that was rated."""
    parts: list[Any] = [_turns(row["prompt"])]
    for name in JUDGED[1:]:
        if isinstance(row.get(name), list):
            rated = (" good" if row.get("label") else " bad") if name == "completion" else ""
            parts += [(f"\n{name}{rated}\n", "bold $secondary"), _turns(row[name])]
    return Content.assemble(*parts)


def _turns(turns: Sequence[Mapping[str, Any]]) -> Content:
    parts: list[Any] = []
    for turn in turns:
        style = TRAINED if turn["role"] == "assistant" else GIVEN
        parts += [(f"{turn['role']}  ", "bold $secondary"), (_visible(turn["content"]), style), "\n"]
    return Content.assemble(*parts[:-1])


def with_marks(body: Content, text: str) -> Content:
    """A row with each place marked where a text is, whatever its case."""
    places = [place.span() for place in re.finditer(re.escape(text), body.plain, re.IGNORECASE)]
    for start, end in places:
        body = body.stylize(SOUGHT, start, end)
    return body


def provenance(row: Mapping[str, Any]) -> list[str]:
    """What is known of a dataset's row beside its text: where from, by whom, and why it was rejected."""
    words = [f"{printable(Path(str(row.get('source', '?'))).name)}"]
    words += [f"p. {row['page']}"] if row.get("page") else []
    words += [printable(row["heading"])] if row.get("heading") else []
    words += [f"by {row['by']}"] if row.get("by") else []
    words += [printable(str(row["kind"])).replace("_", " ")] if row.get("kind") else []
    words += [f"score {row['score']}"] if row.get("score") else []
    return words


def _pieces(pieces: Sequence[Sequence[Any]]) -> Iterator[Content]:
    for text, supervised in pieces:
        yield Content.styled(_visible(text), TRAINED if supervised else GIVEN)


def _visible(text: str) -> str:
    return "⏎\n".join(printable(line) for line in text.split("\n"))


def numbers(
    report: Mapping[str, Any], side: str, rejected: Mapping[str, int], coverage: Mapping[str, Any], width: int
) -> Content:
    """A side's tokens as numbers and as a histogram; what was left out, what was rejected, by reason, what is covered.

    `rejected` and `coverage` are empty for rows that were not prepared here.
    """
    parts: list[Any] = []
    if side in report:
        parts += _tokens(report[side], width)
        parts += [("\nNot used\n", "bold"), f"{report['left_out']:>8,} left out\n"]
        parts.append(_counted(report["duplicates"], "duplicate"))
        long_rows = report["long_rows"]
        parts.append(f"{report[side]['cut']:>8,} cut at {counted(long_rows['max_length'], 'token')}\n")
        parts.append(f"{long_rows['split']:>8,} split\n")
    if kinds := report.get("problems", []):
        parts.append(("\nProblems (l shows all)\n", "bold"))
        parts += [f"{kind['count']:>8,} {kind['effect']}: {kind['kind']}\n" for kind in kinds[:KINDS]]
    if rejected:
        parts.append(("\nRejected\n", "bold"))
        parts += [f"{count:>8,} {reason}\n" for reason, count in list(rejected.items())[:KINDS]]
    if coverage.get("passages"):
        parts.append(("\nCovered (c shows what is not)\n", "bold"))
        parts.append(f"{coverage['with_row']:>8,} of {counted(coverage['passages'], 'passage')} have a row\n")
        parts += [f"{coverage[fact]['in_rows']:>8,} of {coverage[fact]['in_documents']:,} {fact}\n" for fact in FACTS]
    return Content.assemble(*parts)


def _counted(count: int, noun: str) -> str:
    """A line of the numbers."""
    return f"{count:>8,} {plural(count, noun)}\n"


def _tokens(counts: Mapping[str, Any], width: int) -> Iterator[Any]:
    yield _counted(counts["rows"], "row") + _counted(counts["tokens"], "token")
    yield f"{counts['supervised_tokens']:>8,} trained on\n"
    yield from (("\nTokens in a row\n", "bold"), f"{counts['length_median']:>8,} median\n")
    yield f"{counts['length_p95']:>8,} at most, in 95 % of the rows\n{counts['length_max']:>8,} longest\n\n"
    if judged := counts.get("judged"):
        names = ("chosen", "rejected") if judged["kind"] == "pairs" else ("good", "bad")
        yield from (
            (f"{name.capitalize():>8}", f" {counted(judged[f'{label}_median'], 'token')}, median\n")
            for name, label in zip(names, ("good", "bad"), strict=True)
        )
    most = max((count for _, _, count in counts["histogram"]), default=1)
    room = max(4, width - 22)
    for shortest, longest, count in counts["histogram"]:
        filled = bar(count / most, room).rstrip("░").ljust(room)
        yield from (f"{f'{shortest:,}-{longest:,}':>13} ", (filled, "$accent"), f"{count:>7,}\n")
