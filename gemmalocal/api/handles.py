"""Handles on jobs: a run or a dataset that is being made or is there, looked at from another process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from gemmalocal.api import errands, pages, series
from gemmalocal.api.answers import Answer, ToolAnswers
from gemmalocal.api.conversation import Conversation
from gemmalocal.api.progress import Watcher
from gemmalocal.api.results import Exported, Report
from gemmalocal.errors import GemmalocalError, UsageFault
from gemmalocal.jobs import history, processes
from gemmalocal.jobs.events import Evaluated, Event, Sample
from gemmalocal.jobs.history import JobState
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.workspace import datasets, exports, reports, runs, trackings
from gemmalocal.workspace.dataset_rows import DatasetRow
from gemmalocal.workspace.exports import ExportForm
from gemmalocal.workspace.reports import Judge, Wish


class Handle:
    """A job by its folder. It lives on without us; all that is asked of it is read anew."""

    def __init__(self, folder: Path, job: processes.Job | None = None) -> None:
        self.folder = folder
        self._job = job or processes.Job(folder)

    @classmethod
    def of_job(cls, job: processes.Job) -> Self:
        """Of one that was begun from here."""
        return cls(job.directory, job)

    @property
    def name(self) -> str:
        """Its name in the workspace, which is its folder's."""
        return self.folder.name

    @property
    def state(self) -> JobState:
        """All that its events say so far."""
        return history.read(self.folder)

    @property
    def status(self) -> str:
        """live, done, stopped, early (better no more), strained (the machine was), failed, killed, empty or damaged."""
        return self.state.status

    def events(self) -> list[Event]:
        """What it has said so far, in order: see docs/events.md."""
        return processes.Job(self.folder).poll()

    def follow(self) -> Iterator[Event]:
        """What it has said, and what it says from now on, until it has ended."""
        return errands.news(processes.Job(self.folder))

    def wait(self, progress: bool = True) -> Self:
        """Come back when it has ended; what went wrong is raised. With `progress` it is shown meanwhile.

        Whoever interrupts the wait (Ctrl-C, or a notebook's stop) lets the job go on: `stop()` ends it.
        """
        watcher = Watcher(self.name) if progress else None
        state = JobState()
        try:
            for event in errands.news(processes.Job(self.folder)):
                history.fold(state, event)
                state.alive = True
                if watcher:
                    watcher.show(state, event)
        except KeyboardInterrupt:
            if watcher:
                watcher.leave(self.folder)
            raise
        state.alive = False
        if watcher:
            watcher.end(state)
        if trouble := self._trouble(state):
            raise trouble
        return self

    def stop(self) -> None:
        """Ask it to stop and keep what it has; `wait()` for it to have done so. It can be gone on with."""
        if self._job.alive:
            self._job.ask(do="stop")

    def kill(self) -> None:
        """End it at once; it goes on from what it had kept."""
        self._job.kill(by_person=True)

    def _trouble(self, state: JobState) -> GemmalocalError | None:
        """Why it did not come to a good end; None if it did."""
        if state.status == "killed":
            return history.death(self._job)  # a child's exit code is known to this job alone
        return history.trouble(self.folder, state)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.status})"

    def _repr_html_(self) -> str:
        return pages.of_job(self.name, self.state)


class Run(Handle):
    """A training run."""

    _conversation: Conversation | None = None

    @property
    def recipe(self) -> dict[str, Any]:
        """All keys of its recipe; after a search the winner's, without the search."""
        spec = history.spec(self.folder)
        return spec if self.searched is None else {**spec, "search": {}}

    @property
    def searched(self) -> Path | None:
        """The recipe with the search, as it was begun, to search again; None if no search has chosen its recipe."""
        path = self.folder / runs.SEARCHED
        return path if path.is_file() else None

    @property
    def loss(self) -> float | None:
        """Of the newest step, the mean over its supervised tokens, in nats; None before the first."""
        steps = self.state.steps
        return steps[-1].loss if steps else None

    @property
    def best(self) -> Evaluated | None:
        """The evaluation with the lowest held-out loss; None if nothing is held out."""
        return self.state.best

    @property
    def steps(self) -> series.Steps:
        """Figures of all steps, an array each."""
        return series.steps(self.state.steps)

    @property
    def evaluations(self) -> series.Evaluations:
        """Held-out losses and the steps after which they were measured, an array each."""
        return series.evaluations(self.state.evaluations)

    @property
    def samples(self) -> list[Sample]:
        """The recipe's prompts as they were answered before, during and after training."""
        return self.state.samples

    @property
    def verdict(self) -> str:
        """Whether it helped, in a word or three, by its newest report; empty if there is none."""
        return reports.verdict(self.folder)

    def ask(self, prompt: str, system: str = "", *, tools: Sequence[Mapping[str, Any]] = (), **sampling: Any) -> Answer:
        """What the tuned model answers, greedily unless `sampling` says otherwise (see `gemmalocal.chat`): a text, with
        `calls` of the `tools` that it may call, which nothing runs.

        The model stays in memory for the next question until `close()`, or until other sampling or tools are wanted.
        """
        open_chat = self._conversation
        if open_chat is None or open_chat.sampling != sampling or open_chat.tools != list(tools):
            self.close()
            open_chat = self._conversation = Conversation([str(self.folder)], False, sampling, tools)
        open_chat.clear()
        (answer,) = open_chat.ask(prompt, system).values()
        return answer

    def answer(self, given: ToolAnswers) -> Answer:
        """Go on from what tools answer to the calls of the last answer; see `Conversation.answer`."""
        if self._conversation is None:
            raise UsageFault("No tool was called.", "Ask first; what is called is in the `calls` of an answer.")
        (answer,) = self._conversation.answer(given).values()
        return answer

    def close(self) -> None:
        """Give back the memory of a model that `ask` holds."""
        if self._conversation is not None:
            self._conversation.close()
            self._conversation = None

    def report(
        self,
        rows: int | None = None,
        metric: str | None = None,
        against: str | Path | Run | None = None,
        form: str | None = None,
        judge: str | None = None,
    ) -> Report:
        """Whether it helped, measured on its held-out rows; goes on where an earlier one was interrupted.

        `rows` are drawn of them; `metric` says when an answer is right, in place of the recipe's; `against` is another
        run, or "base"; `form` an export's, such as "gguf-Q4_K_M", which is asked in its place; `judge` a model or a
        server's address.
        """
        label = exports.whole_label(self.folder, form) if form else None
        if form and label is None:
            known = ", ".join(exports.labels(self.folder)) or "none yet"
            raise UsageFault(f"{self.name} has no export {form!r}.", f"It has: {known}.")
        other = against.folder if isinstance(against, Handle) else against
        if other not in (None, reports.BASE):
            other = str(history.find_run(str(other)).absolute())
        wish = Wish(rows, metric, None if other is None else str(other), label, Judge(judge) if judge else None)
        figures = errands.waited(reports.start(self.folder, wish))
        return Report(figures, reports.place(self.folder, wish) / reports.PAGES["html"])

    def export(self, to: str = "adapter", folder: str | Path | None = None, **details: Any) -> Exported:
        """Export it for other programs, and prove that the export kept what was learned.

        `to` is adapter, mlx-adapter, gguf-adapter, merged, gguf or ollama; `details` are `type` of a GGUF, `dtype` and
        `bits` of merged weights, `base` of a gguf-adapter (the GGUF that it will lie over).

        Raises `RecipeError`, and what stops it.
        """
        names = [offer.name for offer in exports.OFFERS]
        if to not in names:
            raise UsageFault(f"There is no form {to!r} of an export.", f"Take one of {', '.join(names)}.")
        try:
            form = ExportForm(to, **details)
        except TypeError as error:
            raise UsageFault("That is no detail of an export.", "There are type, dtype, bits and base.") from error
        return Exported(errands.waited(exports.start(self.folder, form, None if folder is None else Path(folder))))

    def track(self, *names: str) -> list[str]:
        """Tell trackers (tensorboard, wandb, trackio, mlflow) of it, to its end if it lives; the commands to look."""
        jobs = [trackings.start(self.folder, name) for name in names]
        return [str(errands.waited(job)["look"]) for job in jobs]

    def plot(self) -> Any:
        """Losses by step as a matplotlib figure; raises `UsageFault` if that is not installed."""
        return series.plot(self.name, self.state)


class Dataset(Handle):
    """A dataset that is being made of documents or rows, or was."""

    @property
    def rows(self) -> list[DatasetRow]:
        """The rows to train on."""
        return datasets.read(self.folder / TRAIN_FILE)

    @property
    def held_out(self) -> list[DatasetRow]:
        """The rows to measure with."""
        return datasets.read(self.folder / HELD_OUT_FILE)

    @property
    def report(self) -> dict[str, Any]:
        """What was counted when it was made."""
        return datasets.report(self.folder)
