"""What the trials of a search are made with: one copy of the weights, rows, and what guides."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from zlib import crc32

from gemmalocal.backends.process_group import wait
from gemmalocal.backends.protocol import Trainer
from gemmalocal.data.token_store import Examples
from gemmalocal.engine import loop, shares
from gemmalocal.engine.pause import PauseControl
from gemmalocal.engine.span import Timed
from gemmalocal.files import atomic
from gemmalocal.jobs.events import Event, Stage
from gemmalocal.pipelines.shared import start_from, trial_rows
from gemmalocal.pipelines.shared.guides import GuideOf
from gemmalocal.pipelines.shared.loading import Prepared
from gemmalocal.pipelines.shared.search_record import SearchRecord
from gemmalocal.pipelines.shared.trial_rows import Weighed
from gemmalocal.recipe import rates, recipe_file, search
from gemmalocal.recipe.schema import Recipe
from gemmalocal.recipe.search_keys import OBJECTIVE_KEYS, TRAINER_KEYS
from gemmalocal.recipe.search_spec import SearchSpec
from gemmalocal.workspace import runs


@dataclass
class Bench:
    """What trials are made with: `open_trainer` gives a fresh adapter by a recipe over weights that it loads."""

    recipe: Recipe  # as it is written
    work: loop.TrainingRun  # over rows that are set aside in the place of held-out ones
    trainer: Trainer
    open_trainer: Callable[[Recipe], Trainer]
    pause: PauseControl
    directory: Path
    box: Timed | None
    weights: float | None
    prepared: Prepared
    rows: Weighed = field(default_factory=dict)  # of trials with another prompt_weight
    guide_of: GuideOf = lambda recipe, work: None
    opened: tuple[tuple[str, str], ...] = ()  # what the trainer at hand has other than the recipe

    @property
    def leads(self) -> bool:
        """Whether this process writes."""
        return self.trainer.group.rank == 0

    def agreed(self, value: float) -> float:
        """Rank 0's, on all ranks."""
        return self.trainer.group.sum([value if self.leads else 0.0])[0]

    def fresh(self, values: search.Values) -> Iterator[Stage]:
        """Begin with an untrained adapter for a trial: the weights stay, unless it lies at other places of them."""
        wanted = trainer_settings(values)
        folder = self.directory / trial_rows.FOLDER / f"fresh-{hash_of(wanted)}"
        if wanted != self.opened:
            recipe = self.recipe_of(values)
            if not self.trainer.renew(recipe):
                yield Stage("loading the weights")
                del self.trainer
                gc.collect()
                self.trainer = self.open_trainer(recipe)
            if recipe.start_from is not None:
                start_from.load_adapter(self.trainer, recipe, self.prepared.folder)
            self.opened = wanted
        if self.agreed(folder.is_dir()):
            self.trainer.restore(folder)
        elif self.leads:
            with atomic.new_folder(folder) as aside:
                self.trainer.save(aside)
        wait(self.trainer.group)

    def recipe_of(self, values: search.Values) -> Recipe:
        """The recipe with a trial's values, its rate a number."""
        recipe = rates.resolved(search.applied(self.recipe, values), self.weights)
        train = recipe.train.model_copy(update={"checkpointing": self.work.spec.checkpointing})  # as was decided
        return recipe.model_copy(update={"train": train})

    def work_of(self, values: search.Values, steps: int) -> loop.TrainingRun:
        """What a trial trains on, by which objective; for so many steps, however many epochs they are."""
        recipe, work = self.recipe_of(values), self.work
        spec = recipe.train.model_copy(update={"steps": steps, "epochs": None, "minutes": None})
        if (rows := self.rows.get(spec.prompt_weight)) is not None:
            work = trial_rows.over(work, rows, spec)
        work = replace(work, spec=spec, steps=steps)
        if search.ROWS in values:
            assert isinstance(work.train, Examples)
            rows_of_all = work.train.groups
            work = replace(work, train=work.train.spaced(max(1, round(values[search.ROWS] * rows_of_all))))
        guided = work.train is not self.work.train or any(key in OBJECTIVE_KEYS for key in values)
        return replace(work, guide=self.guide_of(recipe, work)) if guided else work

    def start_of(self, work: loop.TrainingRun, start: float) -> float:
        """The loss of the untrained model by a trial's own objective and rows; `start` is that by the recipe's."""
        alike = work.guide is self.work.guide and work.held_out is self.work.held_out
        return start if alike else loop.measured(work, self.trainer)[0]

    def settle(self, record: SearchRecord) -> Generator[Event, None, Recipe]:
        """Begin anew by what was chosen, which is what the run is from now on; gives its recipe."""
        values = {} if record.winner is None else record.trials[record.winner]
        yield from self.fresh(values)
        recipe = self.recipe_of(values)
        if recipe.train.prompt_weight in self.rows:
            if self.leads:
                trial_rows.settle(recipe, self.directory)
            wait(self.trainer.group)
            trial_rows.take_up(recipe, self.prepared, self.directory)
        if self.leads:
            put(search.applied(self.recipe, values), self.recipe, self.directory)
            atomic.remove(self.directory / trial_rows.FOLDER)
        work = trial_rows.over(self.work, self.prepared, recipe.train)
        self.work = replace(work, guide=self.guide_of(recipe, work))
        return recipe

    @property
    def judges(self) -> str:
        """What the loss is a mean over: token, pair or answer."""
        return "token" if self.work.guide is None else self.work.guide.judges

    def measure(self) -> tuple[float, list[float], list[float]]:
        """Of the rows that are set aside, by the recipe's own objective, the same for all trials: the mean loss.

        And the loss of each row, or pair, and how much is judged in it: supervised tokens by their weights, or 1.
        """
        if self.work.guide is not None:
            losses, judged = self.work.guide.losses(self.trainer)
            return float(losses.sum() / judged.sum()), _rounded(losses), _rounded(judged)
        rows = self.work.held_out
        nats = -shares.log_probabilities(rows, self.work.spec.rows_at_once, self.trainer)
        tokens = [float(shares.predicted(example)) for example in rows]
        return float(nats.sum()) / sum(tokens), _rounded(nats), tokens


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(float(value), 4) for value in values]


def trainer_settings(values: search.Values) -> tuple[tuple[str, str], ...]:
    """What of a trial's values a trainer of its own is needed for."""
    return tuple((key, json.dumps(value)) for key, value in values.items() if key in TRAINER_KEYS)


def hash_of(wanted: tuple[tuple[str, str], ...]) -> int:
    """A number for a trainer's settings, the same in each process; 0 for the recipe's own."""
    return crc32(json.dumps(wanted).encode()) if wanted else 0


def put(recipe: Recipe, written: Recipe, directory: Path) -> None:
    """Make a recipe that of the run in `directory`, from now on; a person finds it without the search.

    That one, as it was `written`, is put beside it first: of a job that is killed after this, it is the winner's. The
    job keeps its search, which it then knows to have ended.
    """
    listed, searched = (directory / runs.RECIPE).exists(), directory / runs.SEARCHED
    if listed and not searched.exists():
        atomic.write_text(searched, recipe_file.dump(written))
    spec = recipe.model_dump(mode="json")
    atomic.write_text(directory / "job.json", json.dumps({"kind": "train", "spec": spec}, indent=2))
    if listed:
        plain = recipe.model_copy(update={"search": SearchSpec()})
        atomic.write_text(directory / runs.RECIPE, recipe_file.dump(plain))
