"""Pieces to candidates: ask, read, tell the mistake and ask again, and at last let the rules do it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat

from gemmalocal.recipe.prepare_schema import MIX, AskedAbout
from gemmalocal.synthesis import base, checks, ground, mending, round_trip
from gemmalocal.synthesis.allotment import evenly
from gemmalocal.synthesis.asking import AskAuthor, Unanswered
from gemmalocal.synthesis.dialogue import Dialogue, side_by_side
from gemmalocal.synthesis.facts import key_sentences
from gemmalocal.synthesis.kinds import FOLLOW_UP, Mix, chosen
from gemmalocal.synthesis.language import english
from gemmalocal.synthesis.openings import opening
from gemmalocal.synthesis.piece import Candidate, Piece
from gemmalocal.synthesis.retrieval import AMBIGUOUS, PassageIndex
from gemmalocal.synthesis.tasks import AuthorForm, Task, UnusableAnswer, Verdict, followed, parse
from gemmalocal.synthesis.wording import Wording

WAYS: tuple[AskedAbout, ...] = ("passages", "sentences")
TRIED = 8  # pieces on which both ways are tried
MANY = 4  # times as many pieces there must be, for that to be worth its answers
_Trial = tuple[AskedAbout, int]  # a way, and the number of the piece that it is tried on
Rejection = tuple[Candidate, str]  # and why, as a verb's phrase


@dataclass
class Complaints:
    """What an author is told of rows that were rejected: the `first`, and each whose question can be named better."""

    first: str = ""
    ambiguous: list[str] = field(default_factory=list)

    def add(self, reason: str, ambiguous: str = "") -> None:
        """Add a row's reason, and the sentence about its question, if that could be asked elsewhere."""
        self.first = self.first or f"The row {reason}."
        self.ambiguous += [ambiguous] if ambiguous else []


@dataclass
class PieceResult:
    """What came of one piece; `lost` says why its author failed, where the rules had to step in."""

    piece: Piece
    kept: list[Candidate] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    lost: str = ""
    about: AskedAbout = "auto"  # what its author was asked about first; auto: it was not asked
    unanswered: bool = False  # whether a prompt got no answer

    @property
    def authored(self) -> bool:
        """Whether a row of an author's is kept."""
        return any(candidate.by == "model" for candidate in self.kept)

    def mend(self, index: PassageIndex | None, count: int) -> None:
        """Begin questions that do not stand alone with where they were read; those that then do are kept."""
        if index is None:
            return
        rejected, self.rejected = self.rejected, []
        for candidate, reason in rejected:
            vague = candidate.by == "model" and reason.startswith(AMBIGUOUS) and len(self.kept) < count
            mended = mending.placed(candidate, index) if vague else None
            if mended is None or mended.record.key in {row.record.key for row in self.kept}:
                self.rejected.append((candidate, reason))
            else:
                self.kept.append(mended)
        self.lost = "" if self.authored else self.lost

    def take(self, candidates: Sequence[Candidate], index: PassageIndex | None = None) -> Complaints:
        """Check candidates and sort them, questions also against all passages; what is to be told of those rejected."""
        complaints, before = Complaints(), None
        keys = {candidate.record.key for candidate in self.kept}  # an author that is asked again repeats itself
        new = (candidate for candidate in candidates if candidate.record.key not in keys)
        for candidate in map(checks.with_evidence, new):
            reason, ambiguity = checks.problem(candidate), checks.ambiguity(candidate, index)
            if candidate.kind == FOLLOW_UP and before is None:
                reason = reason or "goes on from a row that is not there"
            if reason or ambiguity:
                told = f"The question “{candidate.question}” {ambiguity.told}" if ambiguity and not reason else ""
                reason = reason or (ambiguity.reason if ambiguity else "")
                self.rejected.append((candidate, reason))
                complaints.add(reason, told)
                before = None
            elif candidate.kind == FOLLOW_UP and before is not None:
                self.kept[-1] = followed(before, candidate)
                before = None
            else:
                self.kept.append(candidate)
                before = candidate
        return complaints


@dataclass(frozen=True)
class Order:
    """What is wanted of each piece: `count` rows, by an author who is told mistakes until its `attempts` are used.

    It is asked `about` whole passages, and at last about their sentences one by one, or about sentences alone; auto
    finds out on some pieces which gives more. `mix` are the kinds of question with their weights, `index` is of
    all passages, among which a question must single out its own; with a `round_trip` each is asked again.
    """

    task: Task
    count: int
    attempts: int
    seed: int
    wording: Wording
    instructed: bool = True  # else the author only goes on from examples
    mix: Mix = field(default_factory=lambda: MIX)
    gaps: bool = False  # whether rules may ask for words that are left out of sentences
    index: PassageIndex | None = None
    round_trip: bool = False
    about: AskedAbout = "auto"

    @property
    def has_two_ways(self) -> bool:
        """Whether it must be found out what an author is to be asked about; a person's own prompt says it itself."""
        return (
            self.about == "auto" and self.instructed and bool(self.task.facts) and not self.wording.own(self.task.name)
        )


def create(
    pieces: Sequence[Piece], order: Order, ask: AskAuthor | None, counts: Sequence[int] = ()
) -> Iterator[PieceResult]:
    """What comes of each piece, as soon as it does; without an `ask` the rules make it all.

    `counts` are the rows wanted of each piece, if not the same of all.
    """
    orders = [replace(order, count=count) for count in counts or repeat(order.count, len(pieces))]
    tried = _to_try(pieces) if ask and order.has_two_ways else []
    results = dict[_Trial, PieceResult]()
    trials = (_tried(pieces[number], orders[number], (way, number)) for number in tried for way in WAYS)
    for trial, result in side_by_side(trials, ask):
        results[trial] = result
    told = [number for number in tried if not any(results[way, number].unanswered for way in WAYS)]
    ways = sorted(WAYS, key=lambda way: _worth([results[way, number] for number in told]), reverse=True)
    for number in tried:  # what the better way made, if it made anything
        yield max((results[way, number] for way in ways), key=lambda result: result.authored)
    about = ways[0] if order.about == "auto" else order.about
    dialogues = (
        _rows_of(piece, replace(own, about=about), ask is not None)
        for number, (piece, own) in enumerate(zip(pieces, orders, strict=True))
        if number not in tried
    )
    yield from side_by_side(dialogues, ask)


def _to_try(pieces: Sequence[Piece]) -> list[int]:
    """The numbers of pieces from all over them on which both ways are tried; none of a few pieces."""
    numbers = [number for number, piece in enumerate(pieces) if key_sentences(piece)]
    if len(numbers) < TRIED * MANY:
        return []
    return [numbers[place] for place in evenly(len(numbers), TRIED)]


def _tried(piece: Piece, order: Order, trial: _Trial) -> Dialogue[tuple[_Trial, PieceResult]]:
    """What comes of a piece in one way, which is not helped by the other."""
    result = yield from _rows_of(piece, replace(order, about=trial[0]), True, alone=True)
    return trial, result


def _worth(results: Sequence[PieceResult]) -> tuple[int, int]:
    """How many pieces have a row of their author's, and how many rows."""
    authored = [result for result in results if result.authored]
    return len(authored), sum(len(result.kept) for result in authored)


def _rows_of(piece: Piece, order: Order, asked: bool, alone: bool = False) -> Dialogue[PieceResult]:
    result = PieceResult(piece, order.task.ready_made(piece))
    if asked and order.task.form is not None and order.instructed:
        sentences = order.about == "sentences" and order.task.facts is not None
        result.about = "sentences" if sentences else "passages"
        yield from (_ask_sentences if sentences else _ask_passage)(result, order, alone)
    if not result.authored:
        candidates = order.task.rules(piece, order.count, order.seed, order.gaps)
        if asked and not order.instructed:
            worded = yield from base.worded(candidates, order.task, order.wording)
            both = zip(candidates, worded, strict=True)
            candidates = [old if checks.ambiguity(new, order.index) else new for old, new in both]
        result.take(candidates, order.index)
    return result


def _ask_passage(result: PieceResult, order: Order, alone: bool) -> Dialogue[None]:
    """Ask about a piece, and its questions again; where that leaves no row, about its sentences, unless `alone`."""
    facts = key_sentences(result.piece)[: order.count] if order.task.facts else []
    if order.task.facts and not facts:
        return  # a heading alone, links, code: it has nothing to ask about, and an author would ask for its title
    differently = bool(facts) and order.attempts > 1  # the last attempt
    yield from _ask_author(result, order, order.attempts - differently)
    result.mend(order.index, order.count)
    yield from _ask_again(result, order)
    if differently and not (result.unanswered or result.authored or alone):
        yield from _ask_facts(result, facts, order)
        yield from _ask_again(result, order)


def _ask_sentences(result: PieceResult, order: Order, alone: bool) -> Dialogue[None]:
    """Ask about the sentences of a piece that say most, and where that leaves no row about those that come next."""
    facts = key_sentences(result.piece)
    for start in range(0, min(len(facts), order.count * (1 if alone else order.attempts)), max(1, order.count)):
        yield from _ask_facts(result, facts[start : start + order.count], order)
        yield from _ask_again(result, order)
        if result.authored or result.unanswered:
            return


def _ask_again(result: PieceResult, order: Order) -> Dialogue[None]:
    """Ask the questions of a piece again, beside it; rows whose answer is another are rejected."""
    if not order.round_trip or order.index is None:
        return
    settled = yield from round_trip.again(result.kept, order.wording, order.index.weight)
    result.kept = [candidate for candidate, reason in settled if not reason]
    rejected = [(candidate, reason) for candidate, reason in settled if reason]
    result.rejected += rejected
    if rejected and not result.authored:
        result.lost = f"The row {rejected[0][1]}."


def more(
    pieces: Sequence[Piece], kept: Sequence[Candidate], rows: int, order: Order, ask: AskAuthor
) -> Iterator[PieceResult]:
    """So many more rows, of pieces that have fewest for their length: each of a sentence that no row stands on yet."""
    used = defaultdict[int, list[str]](list)
    for candidate in kept:
        used[id(candidate.piece)].append(ground.normal(candidate.evidence))
    free = {
        id(piece): [line for line in key_sentences(piece) if not _stands_on(ground.normal(line), used[id(piece)])]
        for piece in pieces
    }
    counts = Counter[int]()
    needy = sorted(pieces, key=lambda piece: len(used[id(piece)]) / (1 + piece.passage.tokens))
    while counts.total() < rows and (
        open_pieces := [piece for piece in needy if counts[id(piece)] < len(free[id(piece)])]
    ):
        for piece in open_pieces[: rows - counts.total()]:
            counts[id(piece)] += 1
    asked = [piece for piece in pieces if counts[id(piece)]]
    return side_by_side((_facts_of(piece, free[id(piece)][: counts[id(piece)]], order) for piece in asked), ask)


def _facts_of(piece: Piece, lines: list[str], order: Order) -> Dialogue[PieceResult]:
    result = PieceResult(piece)
    yield from _ask_facts(result, lines, order)
    yield from _ask_again(result, order)
    return result


def _ask_facts(result: PieceResult, lines: Sequence[str], order: Order) -> Dialogue[None]:
    """Ask for a row of each of some sentences of a piece."""
    form = order.task.facts
    assert form is not None
    speaks_english = english(result.piece.passage.text)
    openings = [opening(order.mix, line) if speaks_english else "" for line in lines]
    (answer,) = yield [order.wording.ask_facts(order.task, result.piece, lines, openings)]
    if isinstance(answer, Unanswered):
        result.lost, result.unanswered = answer.reason, True
        return
    try:
        rows = [row for row in parse(answer, form.row) if row.sentence <= len(lines)]
    except UnusableAnswer as problem:
        result.lost = str(problem)
        return
    by_line = {row.sentence: row for row in rows}.values()
    _take(result, [form.read(result.piece, row, lines[row.sentence - 1]) for row in by_line], order)
    result.mend(order.index, order.count)


def _stands_on(line: str, quotes: Sequence[str]) -> bool:
    return any(line in quote or quote in line for quote in quotes)


def _ask_author(result: PieceResult, order: Order, attempts: int) -> Dialogue[None]:
    """Ask about a piece until it has a row, its attempts are used, or its author says what it said before.

    Questions that can be named better are asked for once more.
    """
    form, said = order.task.form, set[str]()
    assert form is not None
    kinds = chosen(order.mix, result.piece.passage.text, order.count) if order.task.facts else ()
    prompt = order.wording.ask(order.task, result.piece, order.count, kinds)
    for attempt in range(attempts):
        (answer,) = yield [prompt]
        if isinstance(answer, Unanswered):
            result.lost, result.unanswered = "" if result.authored else answer.reason, True
            return
        if ground.normal(answer) in said:
            return
        if not (problem := _read(result, form, answer, order, again=not attempt)):
            return
        said.add(ground.normal(answer))
        prompt = order.wording.with_correction(prompt, answer, problem)


def _read(result: PieceResult, form: AuthorForm, answer: str, order: Order, again: bool) -> str:
    """Take the rows of an answer; what to tell its author if it is to write some again, else ''.

    Where rows were kept, only questions that do not stand alone are worth another answer, `again` but once.
    """
    try:
        rows = parse(answer, form.row)[: order.count]
    except UnusableAnswer as problem:
        result.lost = "" if result.authored else str(problem)
        return result.lost
    complaints = _take(result, [form.read(result.piece, row) for row in rows], order)
    if not result.authored:
        return " ".join(complaints.ambiguous) or result.lost
    return " ".join([*complaints.ambiguous, "Leave out the other rows."]) if complaints.ambiguous and again else ""


def _take(result: PieceResult, candidates: Sequence[Candidate], order: Order) -> Complaints:
    """Take rows, and note why none of them could be kept."""
    complaints = result.take(candidates, order.index)
    result.lost = "" if result.authored else complaints.first or "No row is about one of the sentences."
    return complaints


def judge(candidates: Sequence[Candidate], wording: Wording, ask: AskAuthor, threshold: int) -> Iterator[PieceResult]:
    """Each candidate scored, as soon as it is: kept are those of at least `threshold`, of 1 to 10."""
    return side_by_side((_judged(candidate, wording, threshold) for candidate in candidates), ask)


def _judged(candidate: Candidate, wording: Wording, threshold: int) -> Dialogue[PieceResult]:
    result = PieceResult(candidate.piece)
    (answer,) = yield [wording.judge(candidate)]
    verdict = _verdict(answer)
    if isinstance(verdict, str):
        result.rejected.append((candidate, f"could not be judged: {verdict}"))
        return result
    scored = replace(candidate, score=verdict.score)
    if verdict.score >= threshold:
        result.kept.append(scored)
    else:
        result.rejected.append((scored, f"was scored below {threshold}: {verdict.score}, {verdict.reason}"))
    return result


def _verdict(answer: str | Unanswered) -> Verdict | str:
    if isinstance(answer, Unanswered):
        return answer.reason
    try:
        return parse(answer, Verdict)[0]
    except UnusableAnswer as problem:
        return str(problem)
