"""search.json beside a run: what is tried, what came of it, and how much better the best is than each other.

It is written after each trial, so that a search that was killed goes on with the next one and comes to the same end.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gemmalocal.engine import halving
from gemmalocal.engine.halving import Rung
from gemmalocal.errors import GemmalocalError
from gemmalocal.evaluation.statistics import Interval, ratio_interval
from gemmalocal.files import atomic
from gemmalocal.jobs.loss_words import loss_text
from gemmalocal.jobs.plurals import counted
from gemmalocal.recipe import search

FILE, TABLE, CONTRACT = "search.json", "search.md", 1


@dataclass
class Result:
    """A trial's end: the loss on the rows that are set aside, inf if it diverged; `nats` by row or pair."""

    rung: int
    trial: int
    loss: float
    nats: list[float]
    seconds: float


@dataclass
class SearchRecord:
    """A search so far. `spent` are seconds of the run's box.

    `tokens` are those of each row that is set aside, by their weights; where pairs or answers are judged, 1 for each.
    """

    trials: list[search.Values] = field(default_factory=list)
    rungs: list[Rung] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    tokens: Sequence[float] = field(default_factory=list)
    start: float = 0.0  # loss of the untrained model on those rows
    spent: float = 0.0
    cut: bool = False  # whether it ended before its plan, for the time was spent
    judges: str = "token"  # what the loss is a mean over: token, pair or answer

    def losses(self, rung: int) -> dict[int, float]:
        """Of the trials of a rung that have ended."""
        return {result.trial: result.loss for result in self.results if result.rung == rung}

    def contestants(self, rung: int) -> list[int]:
        """The trials of a rung, once the one before has ended."""
        if rung == 0:
            return list(range(len(self.trials)))
        return halving.survivors(self.losses(rung - 1), self.rungs[rung].trials)

    @property
    def ended(self) -> bool:
        """Whether all that was planned is tried."""
        tried = [len(self.losses(rung)) == len(self.contestants(rung)) for rung in range(len(self.rungs))]
        return self.cut or (bool(tried) and all(tried))

    @property
    def winner(self) -> int | None:
        """The best trial of the last rung in which one has ended well; None where all diverged, or nothing ended."""
        if self.is_curve:
            return len(self.trials) - 1 if self.ended else None
        for rung in reversed(range(len(self.rungs))):
            if (winner := halving.best(self.losses(rung))) is not None:
                return winner
        return None

    @property
    def is_curve(self) -> bool:
        """Whether shares of the rows were tried, not settings."""
        return any(search.ROWS in values for values in self.trials)

    def differences(self) -> dict[int, tuple[int, Interval | None]]:
        """By trial: the last rung that it shares with the winner, and its loss minus the winner's there.

        Of a token, pair or answer; None where it diverged, or where rows were not measured one by one.
        """
        nats = {(result.rung, result.trial): result for result in self.results}
        winner, by_trial = self.winner, dict[int, tuple[int, Interval | None]]()
        for result in self.results:
            best = nats.get((result.rung, -1 if winner is None else winner))
            if best is None or result.trial == winner:
                continue
            row_by_row = len(result.nats) == len(best.nats) == len(self.tokens) > 0  # an older search has not all
            pairs = zip(result.nats, best.nats, strict=True) if row_by_row and math.isfinite(result.loss) else ()
            differences = [one - other for one, other in pairs]
            interval = ratio_interval(differences, self.tokens, range(len(differences))) if differences else None
            by_trial[result.trial] = (result.rung, interval)
        return by_trial

    def sentence(self) -> str:
        """What the search says, for a person."""
        if self.is_curve:
            return self._more_rows()
        if not self.results:
            return "nothing was tried: the recipe is trained as it is"
        if self.winner is None:
            return "all trials diverged: the recipe is trained as it is"
        words = search.words(self.trials[self.winner])
        near = [
            search.words(self.trials[trial])
            for trial, (_, interval) in self.differences().items()
            if interval is not None and interval.low <= 0
        ]
        text = f"the search chose {words}"
        return f"{text}; on these rows it cannot be told from {' or '.join(near)}" if near else text

    def _more_rows(self) -> str:
        """Whether more rows would help, by what each doubling did; from a quarter to all there are two."""
        _, interval = self.differences().get(0, (0, None))
        if interval is None:
            return "whether more rows would help is not known: a trial diverged, or rows are not measured one by one"
        value, low, high = (part / 2 for part in interval)
        nats = " nats a token" if self.judges == "token" else ""
        figures = f"each doubling took {value:.4f}{nats} off the loss (95 %: {low:.4f} to {high:.4f})"
        if low > 0:
            return f"more rows would help: {figures}"
        return f"more rows would make it worse: {figures}" if high < 0 else f"more rows may not help: {figures}"

    def save(self, folder: Path) -> None:
        """Write it, with its table."""
        known = {"contract": CONTRACT, "winner": self.winner, "table": list(self.rows()), **asdict(self)}
        known["rungs"] = [list(rung) for rung in self.rungs]
        for result in known["results"]:
            result["loss"] = result["loss"] if math.isfinite(result["loss"]) else None
        atomic.write_text(folder / FILE, json.dumps(known))
        atomic.write_text(folder / TABLE, self.table())

    def rows(self) -> Iterator[dict[str, Any]]:
        """Of each trial: its words, its losses by rung (None: diverged), and what it lacks to the winner."""
        differences = self.differences()
        for number, values in enumerate(self.trials):
            losses = [self.losses(rung)[number] for rung in range(len(self.rungs)) if number in self.losses(rung)]
            _, interval = differences.get(number, (0, None))
            yield {
                "trial": search.words(values),
                "losses": [round(loss, 5) if math.isfinite(loss) else None for loss in losses],
                "chosen": number == self.winner,
                "behind": None if interval is None else [round(value, 5) for value in interval],
            }

    def table(self) -> str:
        """The same in Markdown."""
        heads = [f"loss after {counted(rung.steps, 'step')}" for rung in self.rungs]
        lines = [["tried", *heads, "behind the best (95 % interval)"]]
        for row in self.rows():
            losses = [loss_text(loss, 4) if loss is not None else "diverged" for loss in row["losses"]]
            losses += [""] * (len(heads) - len(losses))
            behind = "chosen" if row["chosen"] else ""
            if row["behind"]:
                value, low, high = row["behind"]
                behind = f"{value:+.4f} ({low:+.4f} to {high:+.4f})"
            lines.append([row["trial"], *losses, behind])
        drawn = [f"| {' | '.join(line)} |" for line in lines]
        rule = "|" + " --- |" * len(lines[0])
        judged = "row" if self.judges == "token" else self.judges
        unit = "In nats a token" if self.judges == "token" else f"A loss is the objective's, the mean over {judged}s"
        about = f"Set aside to choose by: {counted(len(self.tokens), judged)}, which no report uses. {unit}."
        return "\n".join(["# The search", "", f"{self.sentence()}.", "", drawn[0], rule, *drawn[1:], "", about, ""])


def read(folder: Path) -> SearchRecord:
    """The search in a run's folder, or a new one; raises `GemmalocalError` for one that cannot be read."""
    try:
        known = json.loads((folder / FILE).read_text(encoding="utf-8"))
        results = [
            Result(**{**result, "loss": math.inf if result["loss"] is None else result["loss"]})
            for result in known["results"]
        ]
        return SearchRecord(
            known["trials"], [Rung(*rung) for rung in known["rungs"]], results, known["tokens"], known["start"],
            known["spent"], known["cut"], known.get("judges", "token"),
        )  # fmt: skip
    except FileNotFoundError:
        return SearchRecord()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GemmalocalError(
            f"{folder / FILE} is damaged.", "Delete it, and the search begins again: gemmalocal resume"
        ) from error
