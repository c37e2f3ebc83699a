"""What a preparation reports: the figures of report.json, and the same as sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.pipelines.shared.judges import about, told
from gemmalocal.pipelines.shared.passages import NAMED, GatheredPieces
from gemmalocal.pipelines.shared.prepared_rows import PreparedRows
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.synthesis import round_trip, unanswerable
from gemmalocal.synthesis.create import Rejection
from gemmalocal.synthesis.piece import Candidate
from gemmalocal.workspace import checked, datasets
from gemmalocal.workspace.covered import line as covered_line

LISTED = 100  # refused sources, and warnings, that the report lists beside their number; all are in files


def counts(report: dict[str, Any]) -> str:
    """How many rows stand in which file."""
    return f"{counted(report['train']['rows'], 'row')} in {TRAIN_FILE}, {report['held_out']['rows']} in {HELD_OUT_FILE}"


def of_kept(kept: Sequence[Candidate], rejected: Sequence[Rejection], prepared: PreparedRows) -> dict[str, Any]:
    """What the rows ask, and how they stood the checks."""
    return {
        "unanswerable": {"wanted": prepared.unanswerable, **unanswerable.counted(kept)},
        "kinds": dict(Counter(candidate.kind for candidate in kept if candidate.kind).most_common()),
        "quality": round_trip.counted(kept, rejected),
    }


def of_making(preparation: Preparation, gathered: GatheredPieces, prepared: PreparedRows) -> dict[str, Any]:
    """What was read and asked, and what did not become rows, in numbers."""
    return {
        "task": preparation.task,
        "author": prepared.author.title,
        "documents": gathered.documents,
        "refused_sources": len(gathered.refused),
        "refused": [{"source": source, "reason": reason} for source, reason in gathered.refused[:LISTED]],
        "warned": len(gathered.warnings),
        "warnings": [{"source": source, "warning": warning} for source, warning in gathered.warnings[:LISTED]],
        "same_documents": len(gathered.same),
        "passages": len(gathered.pieces),
        "rows_wanted": prepared.wanted,
        "near_copies": gathered.copies,
        "asked_about": prepared.about,
        "asked": prepared.asked,
        "answers_known": prepared.reused,
        "tokens": prepared.usage._asdict(),
        "left_to_rules": dict(prepared.losses.most_common()),
        "without_rows": dict(prepared.without_rows.most_common()),
        "judge": about(prepared.judge, [*prepared.kept, *(candidate for candidate, _ in prepared.rejected)]),
    }


def of_rows(report: dict[str, Any]) -> Iterator[str]:
    """What became of the rows, as sentences."""
    yield (
        f"written by {report['author']}; {counted(report['asked'], 'prompt')} asked, "
        f"{counted(report['answers_known'], 'answer')} known"
    )
    if report["asked_about"] == "sentences":
        yield "asked about sentences, one by one"
    if (tokens := report["tokens"])["completion"]:
        cached = f", {tokens['cached']} of them cached" if tokens["cached"] else ""
        cost = f"{tokens['prompt']} of prompts{cached}, {tokens['completion']} of answers"
        yield f"tokens: {cost}; {tokens['a_row']:.0f} a kept row"
    yield from _most_frequent(report["left_to_rules"], "passage", "left to the rules:")
    yield from _most_frequent(report["without_rows"], "passage", "gave no row: they")
    yield from _most_frequent(report["rejected"], "row", "rejected: the row")
    yield from checked.lines(report["quality"])
    for side in ("train", "held_out"):
        numbers = report[side]
        counts = (
            f"{counted(numbers['rows'], 'row')}, {counted(numbers['tokens'], 'token')}, of "
            f"{counted(numbers['documents'], 'document')}"
        )
        yield f"{side.replace('_', '-')}: {counts}"
    yield from told(report["judge"])
    if report["not_made_again"]:
        yield (
            f"{counted(report['not_made_again'], 'row')} that you edited, accepted or dropped "
            f"{plural(report['not_made_again'], 'is not made any more; it stays', 'are not made any more; they stay')}"
        )
    yield f"held out: {report['split']}"
    if (covered := report.get("coverage")) and covered["passages"]:
        yield f"covered: {covered_line(covered)}"
    if wanted := report["unanswerable"]["wanted"]:
        kinds = (f"{report['unanswerable'][kind]} {kind.replace('_', ' ')}" for kind in unanswerable.KINDS)
        yield f"questions without an answer: {', '.join(kinds)}, of {wanted} that were wanted"
    if (wanted := report["rows_wanted"]) and (rows := report["train"]["rows"] + report["held_out"]["rows"]) < wanted:
        yield (
            f"{rows} of the {counted(wanted, 'row that was', 'rows that were')} wanted: the other questions "
            "were rejected, or none was found"
        )
    if report["kinds"]:
        yield f"kinds of question: {', '.join(f'{count} {kind}' for kind, count in report['kinds'].items())}"


def _most_frequent(counts: dict[str, int], noun: str, outcome: str) -> Iterator[str]:
    """The most frequent reasons for an outcome of things, and how many more there are."""
    for reason, count in list(counts.items())[:NAMED]:
        yield f"{counted(count, noun)} {outcome} {reason}"
    if unnamed := list(counts.values())[NAMED:]:
        others = f"... ({len(unnamed)} more {plural(len(unnamed), 'reason')}, see {datasets.REPORT})"
        yield f"{counted(sum(unnamed), noun)} {outcome} {others}"


def why_no_row(report: dict[str, Any]) -> str:
    """What helps where no row is left to train on."""
    if reasons := [f"{counted(count, 'row')}: {reason}" for reason, count in list(report["rejected"].items())[:3]]:
        return "; ".join(reasons)
    silent = "; ".join(f"{counted(count, 'passage')} {reason}" for reason, count in report["without_rows"].items())
    return f"{silent or 'There was nothing to ask about'}. Name a model, or an endpoint, that can."
