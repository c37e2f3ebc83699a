"""Documents, or rows, to a dataset directory.

The dataset is a function of the sources, the preparation and the author's answers, which are kept as they come: a job
that was killed asks only what it has no answer to, and ends with the rows that it would have ended with.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.errors import DatasetError, RecipeError
from gemmalocal.files import atomic, paths
from gemmalocal.jobs.events import Event, Finished, Notice, Report, Stage
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared import answer_rows, pair_rows, voted_rows
from gemmalocal.pipelines.shared.authors import open_author, usage_of
from gemmalocal.pipelines.shared.background import Stopped, Teller, in_background
from gemmalocal.pipelines.shared.judges import Judge, check_judge, open_judge
from gemmalocal.pipelines.shared.pace import Work
from gemmalocal.pipelines.shared.passages import GatheredPieces, Reading, gather, of_sources
from gemmalocal.pipelines.shared.prepare_report import counts, of_kept, of_making, of_rows, why_no_row
from gemmalocal.pipelines.shared.prepared_rows import PreparedRows, reasons
from gemmalocal.pipelines.shared.tuned import ask_tuned
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.synthesis import curate, unanswerable
from gemmalocal.synthesis.allotment import spread, wanted_rows
from gemmalocal.synthesis.asking import Remembered
from gemmalocal.synthesis.context import situated
from gemmalocal.synthesis.coverage import coverage
from gemmalocal.synthesis.create import Order, PieceResult, create, judge, more
from gemmalocal.synthesis.piece import Candidate, Piece, passage_key
from gemmalocal.synthesis.rarity import by_vocabulary
from gemmalocal.synthesis.retrieval import PassageIndex
from gemmalocal.synthesis.split import held_out
from gemmalocal.synthesis.tasks import TASKS
from gemmalocal.synthesis.wording import Wording
from gemmalocal.weights.locate import locate
from gemmalocal.workspace import dataset_rows, datasets, ratings, votes

FILLINGS = 2  # times that rows are asked for which are missing of those wanted
TOGETHER = 512  # texts whose tokens are counted at once


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """Make the dataset in `directory`, or go on with it; refuses to write over what a person edited."""
    preparation = Preparation.model_validate(spec)
    datasets.finish_change(directory)
    if changed := datasets.edited(directory):
        hint = "Name another dataset, or delete the file: it is made anew."
        raise DatasetError(f"{' and '.join(changed)} in {directory} was edited by hand.", hint)
    if preparation.task == votes.TASK:
        yield from voted_rows.make(preparation, directory)
        return
    if preparation.task == "pairs":
        yield from pair_rows.make(preparation, directory, commands)
        return
    if preparation.task == "answers":
        yield from answer_rows.make(preparation, directory, commands)
        return
    try:
        yield Stage("finding the model")
        local = preparation.author == "model" and preparation.endpoint is None and preparation.task != "text"
        folder = yield from in_background(lambda tell: locate(preparation.model, tell, weights=local), commands)
        with Reading(preparation) as begun:
            tokenizer = Tokenizer(folder)
            yield Stage("reading the rows" if preparation.task == "rewrite" else "reading the documents")
            gathered = yield from in_background(lambda tell: gather(preparation, tokenizer, tell, begun), commands)
        if preparation.author != "rules" and preparation.task not in ("rewrite", "text"):
            gathered.pieces = situated(gathered.pieces)
        _save(directory / datasets.REFUSED, "reason", gathered.refused)
        _save(directory / datasets.WARNINGS, "warning", gathered.warnings)
        yield from map(Notice, of_sources(gathered))
        if not gathered.pieces:
            raise DatasetError(
                "Nothing was read that can become rows.", f"Why, of each source: {directory / datasets.REFUSED}."
            )
        yield Stage("writing the rows")
        prepared = yield from in_background(
            lambda tell: write(preparation, gathered, folder, tokenizer, directory, tell), commands
        )
    except Stopped:
        yield Finished("stopped", "answers so far are kept: the same command goes on from here")
        return
    report = deliver(preparation, gathered, prepared, tokenizer, directory)
    yield from map(Notice, of_rows(report))
    if rated := ratings.sentence(directory):
        yield Notice(rated)
    yield Report({**report, "rated": rated})
    yield Finished("done", counts(report))


def write(
    plan: Preparation, gathered: GatheredPieces, folder: Path, tokenizer: Tokenizer, directory: Path, tell: Teller
) -> PreparedRows:
    """All candidates of all pieces, checked and, if wanted, judged."""
    wording = Wording(paths.expanded(plan.prompts) if plan.prompts else None)
    author = open_author(plan, folder, tokenizer)
    prepared = PreparedRows(author, plan.gaps)
    remembered: Remembered | None = None
    if author.ask:
        remembered = Remembered(directory / datasets.ASKED, author.ask, author.name, partial(usage_of, tokenizer))
    if plan.unanswerable and not (remembered and author.instructed):
        hint = "Name a model that follows instructions, or an endpoint."
        raise RecipeError(f"Nothing can ask what the documents do not answer: the author is {author.title}.", hint)
    if plan.judge:
        check_judge(plan, author, tell)
    rarity = by_vocabulary(tokenizer.encoder)
    index = PassageIndex(gathered.pieces, rarity) if plan.task in ("qa", "cot") or plan.known else None
    order = order_of(plan, wording, author.instructed, index)
    prepared.wanted = wanted_rows(gathered.pieces, plan.rows, plan.per_1000_tokens)
    pieces, counts = gathered.pieces, [plan.pairs] * len(gathered.pieces)
    if prepared.wanted is not None:
        prepared.unanswerable = round(prepared.wanted * plan.unanswerable)
        shares = zip(pieces, spread(pieces, prepared.wanted - prepared.unanswerable), strict=True)
        pieces, counts = map(list, zip(*((piece, count) for piece, count in shares if count), strict=True))
    work = Work(tell, len(pieces), remembered)
    try:
        for result in create(pieces, order, work.ask if remembered else None, counts):
            prepared.add(result)
            work.advance(prepared.counted)
        prepared.sort(gathered.pieces)
        if prepared.wanted is not None and remembered and author.instructed and order.task.facts:
            _fill_up(gathered.pieces, prepared, order, work)
        if plan.known and index:
            kept, dropped = ask_tuned(plan, author, prepared.kept, index, work, directory, tell, prepared.count)
            prepared.kept, prepared.rejected = kept, prepared.rejected + dropped
        if plan.judge:
            prepared.judge = open_judge(plan, author, directory, tell)
            own = work if prepared.judge.voice is author else None
            _judged(prepared, wording, prepared.judge, own, directory, tell)
            prepared.sort(gathered.pieces)
        if plan.unanswerable:
            _ask_unanswerable(plan, gathered.pieces, prepared, order, work)
    finally:
        author.close()
    if remembered:
        prepared.count(remembered)
    return prepared


def _judged(
    prepared: PreparedRows, wording: Wording, judge_: Judge, work: Work | None, directory: Path, tell: Teller
) -> None:
    """Let the rows be judged: by the author through its `work`, else by a judge of its own."""
    candidates, prepared.kept = prepared.kept, []
    remembered: Remembered | None = None
    if work is None:
        assert judge_.voice.ask is not None
        remembered = Remembered(directory / datasets.ASKED, judge_.voice.ask, judge_.voice.name)
        work = Work(tell, len(candidates), remembered)
    try:
        work.begin("rows judged", len(candidates))
        for result in judge(candidates, wording, work.ask, judge_.threshold):
            prepared.add(result)
            work.advance(prepared.counted)
    finally:
        if remembered:
            prepared.count(remembered)
            judge_.voice.close()


def order_of(plan: Preparation, wording: Wording, instructed: bool, index: PassageIndex | None) -> Order:
    """What is wanted of each piece."""
    task, again = TASKS[plan.task], plan.round_trip and instructed
    return Order(
        task, plan.pairs, plan.attempts, plan.seed, wording, instructed, plan.kinds, plan.gaps, index, again, plan.about
    )


def _fill_up(pieces: Sequence[Piece], prepared: PreparedRows, order: Order, work: Work) -> None:
    """Ask for the rows that are missing of those wanted, elsewhere and in another way."""
    assert prepared.wanted is not None
    for _ in range(FILLINGS):
        kept, _repeated = curate.unique(prepared.kept)
        if (missing := prepared.wanted - prepared.unanswerable - len(kept)) <= 0:
            return
        results = list[PieceResult]()
        work.begin("rows still wanted", missing)
        for result in more(pieces, kept, missing, order, work.ask):
            prepared.kept += result.kept
            prepared.rejected += result.rejected
            results.append(result)
            work.advance(prepared.counted, len(result.kept) + len(result.rejected))
        prepared.sort(pieces)
        if not any(result.kept for result in results):
            return


def _ask_unanswerable(
    plan: Preparation, pieces: Sequence[Piece], prepared: PreparedRows, order: Order, work: Work
) -> None:
    """The share of rows whose answers say that the documents do not answer, or that the question is wrong."""
    kept, _repeated = curate.unique(prepared.kept)
    prepared.unanswerable = prepared.unanswerable or unanswerable.wanted(len(kept), plan.unanswerable)
    missed = unanswerable.Missed(order.wording, order.index or PassageIndex(pieces))
    work.begin("questions without an answer", prepared.unanswerable)
    for result in unanswerable.create(kept, prepared.unanswerable, missed, work.ask):
        prepared.kept += result.kept
        prepared.rejected += result.rejected
        work.advance(prepared.counted, len(result.kept))
    prepared.sort(pieces)


def deliver(
    preparation: Preparation, gathered: GatheredPieces, prepared: PreparedRows, tokenizer: Tokenizer, directory: Path
) -> dict[str, Any]:
    """Choose among the candidates, write the files, and count."""
    kept, repeated = curate.unique(prepared.kept)
    own = prepared.judge is not None and prepared.judge.same  # an author is no judge of which of its rows are better
    kept, surplus = curate.balanced(kept, preparation.balance, by_score=not own)
    kept, alike = curate.capped(kept)
    kept, beyond = unanswerable.capped(kept, preparation.unanswerable)
    rejected = [*curate.distinct(prepared.kept, prepared.rejected), *repeated, *surplus, *alike, *beyond]
    # Before what a person decides: no row that is dropped or accepted lets others change sides.
    split = held_out(gathered.pieces, kept, preparation.held_out, gathered.alike)
    hand = datasets.by_hand(directory)
    decided = datasets.decided(directory, hand, {each.record.key for each in [*kept, *(one for one, _ in rejected)]})
    kept, rejected = curate.with_decisions(kept, rejected, hand.accepted, hand.dropped)

    def is_held_out(candidate: Candidate) -> bool:
        return passage_key(candidate.piece) in split.places

    def rows(candidates: Sequence[Candidate]) -> list[dataset_rows.DatasetRow]:
        return [hand.mended(candidate.columns()) for candidate in candidates]

    train, measured = ([candidate for candidate in kept if is_held_out(candidate) is side] for side in (False, True))
    rejected_rows = rows([candidate for candidate, _ in rejected])
    files = {
        TRAIN_FILE: rows(train) + decided[TRAIN_FILE],
        HELD_OUT_FILE: rows(measured) + decided[HELD_OUT_FILE],
        datasets.REJECTED: [
            {**row, "reason": reason, "held_out": is_held_out(candidate)}
            for row, (candidate, reason) in zip(rejected_rows, rejected, strict=True)
        ]
        + decided[datasets.REJECTED],
    }
    report = {
        **of_making(preparation, gathered, prepared),
        "by": dict(Counter(row["by"] for row in files[TRAIN_FILE] + files[HELD_OUT_FILE])),
        **of_kept(kept, rejected, prepared),
        "rejected": reasons(rejected),
        "not_made_again": sum(map(len, decided.values())),
        "split": split.how,
        "train": _counts(train, files[TRAIN_FILE], tokenizer),
        "held_out": _counts(measured, files[HELD_OUT_FILE], tokenizer),
    }
    if preparation.task != "rewrite":
        report["coverage"] = coverage(gathered.pieces, kept, prepared.reasons)
    report["tokens"]["a_row"] = round(sum(prepared.usage[:2]) / max(1, len(kept)), 1)
    if not train:
        raise DatasetError("No row is left to train on.", why_no_row(report))
    datasets.write(directory, files, report)
    return report


def _counts(
    candidates: Sequence[Candidate], rows: Sequence[dataset_rows.DatasetRow], tokenizer: Tokenizer
) -> dict[str, int]:
    """Of the candidates of one side, and the rows that they became."""
    texts = [turn["content"] for row in rows for turn in row.get("messages", ())]
    texts += [row["text"] for row in rows if "text" in row]
    blocks = (texts[start : start + TOGETHER] for start in range(0, len(texts), TOGETHER))
    return {
        "rows": len(rows),
        "tokens": sum(len(ids) for block in blocks for ids in tokenizer.encode_batch(block)),
        "documents": len({candidate.piece.document for candidate in candidates}),
    }


def _save(file: Path, key: str, reasons: Sequence[tuple[str, str]]) -> None:
    """All sources that could not be read, or look wrong, with why; what comes after may fail: this is what helps."""
    lines = (json.dumps({"source": source, key: reason}, ensure_ascii=False) for source, reason in reasons)
    atomic.write_text(file, "".join(f"{line}\n" for line in lines))
