"""What the screen of models sets to work: a model fetched from the Hub, a GGUF file imported; how far it is."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from textual.binding import Binding
from textual.content import Content
from textual.widgets import Static

from gemmalocal.errors import GemmalocalError
from gemmalocal.files import paths
from gemmalocal.files.sizes import gigabytes, size
from gemmalocal.jobs.events import Failed, Progress, Report, Stage
from gemmalocal.jobs.processes import Job
from gemmalocal.planning import throughput
from gemmalocal.workspace import model_names
from tui.background import run_in_background
from tui.errand import errand, events_of
from tui.screens.ask_line import AskLineScreen
from tui.screens.login import WANTED, LoginScreen
from tui.screens.pick import PickScreen
from tui.screens.run_screen import AppScreen
from tui.widgets.marks import bar

VERBS = {"fetch": "fetched", "import_gguf": "imported"}
BAR = 24  # cells


class ModelWork(AppScreen):
    """One fetch or import at a time, which ends with the screen; what a fetch has finished is kept."""

    WORK_KEYS = (
        Binding("f", "fetch", "Fetch"),
        Binding("n", "fetch_by_name", "Fetch by name"),
        Binding("i", "import", "Import a GGUF"),
        Binding("s", "stop", "Stop"),
    )

    def __init__(self) -> None:
        super().__init__()
        self._models: dict[str, dict[str, Any]] = {}
        self._working: Job | None = None
        self._lost = ""  # by leaving while it works

    @property
    def unsaved(self) -> str:
        """What is being fetched."""
        return "" if self._working is None else self._lost

    @property
    def model(self) -> dict[str, Any] | None:
        """The one under the cursor."""
        raise NotImplementedError

    def action_look(self) -> None:
        """Ask what there is."""
        raise NotImplementedError

    def action_fetch(self) -> None:
        """Download the one under the cursor into the Hub's cache."""
        if (model := self.model) is not None:
            self._fetch(str(model["name"]))

    def action_fetch_by_name(self) -> None:
        """Download any model of the Hub, or one GGUF file of it, by its name there."""
        line = "owner/name, and after a space a GGUF file of it, if that is wanted"
        ask = AskLineScreen("Fetch which model of the Hub?", placeholder=line, check=_named, taking="Fetch")
        self.app.push_screen(ask, lambda words: self._fetch(*_named(words)) if words else None)

    def _fetch(self, name: str, gguf: str | None = None) -> None:
        self._lost = "A model is being fetched. Files that are finished are kept; it stops."
        self._work("fetch", {"model": name, "gguf": gguf}, f"Fetching {name}: asking the Hub ...")

    def action_import(self) -> None:
        """Make a model that can be tuned of a GGUF file: of the one under the cursor, or of one that is named."""
        known = [model for model in self._models.values() if model["train"] == "import"]
        known.sort(key=lambda model: model is not self.model)
        offers = [(Content(f"{model['name']}  {size(model['size'])}"), str(model["path"])) for model in known]
        pick = PickScreen("Import which GGUF file?", lambda: offers, "or the path of a GGUF file")
        self.app.push_screen(pick, self._ask_name)

    def _ask_name(self, file: str | None) -> None:
        """What the model is to be called: by default as the file, or as Ollama calls it."""
        if file is not None:
            path = paths.expanded(file).absolute()
            names = [model["name"] for model in self._models.values() if model["path"] == file]
            stem = path.stem if path.suffix == ".gguf" else str(next(iter(names), path.name))
            ask = AskLineScreen(
                f"What is the model of {path.name} to be called?",
                model_names.proposed(stem),
                "a name for recipes",
                model_names.free,
                "Import",
            )
            self.app.push_screen(ask, partial(self._import, path))

    def _import(self, file: Path, name: str | None) -> None:
        if name is not None:
            self._lost = "A file is being imported. Nothing of it is kept if it stops."
            self._work("import_gguf", {"file": str(file), "name": name}, f"Importing {file.name} ...")

    def _work(self, kind: str, spec: dict[str, Any], words: str) -> None:
        run_in_background(self, partial(self._worked, kind, spec, words), group="work", exclusive=True)

    async def _worked(self, kind: str, spec: dict[str, Any], words: str) -> None:
        name = str(spec.get("model") or Path(spec["file"]).name)
        with self.problem_shown(f"{name} could not be {VERBS[kind]}"):
            try:
                async with errand(kind, spec) as job:
                    self._working = job
                    self._tell(Content(words))
                    await self._follow(name, kind, spec, job)
            finally:
                self._working = None
                if self.is_attached:
                    self._tell(Content(""))
                    self.action_look()

    async def _follow(self, name: str, kind: str, spec: dict[str, Any], job: Job) -> None:
        begun, first = time.monotonic(), None
        async for event in events_of(job):
            match event:
                case Stage():
                    self._tell(Content(f"{event.name} ..."))
                case Progress():
                    first = event.done if first is None else first
                    pace = (event.done - first) / max(0.1, time.monotonic() - begun)
                    self._tell(progress(name, event, pace))
                case Report():
                    self.notify(f"{event.data.get('model', name)} is here.")
                case Failed() if event.error in WANTED:
                    self._ask_login(spec, event)
                case Failed():
                    self.show_problem(f"{name} could not be {VERBS[kind]}", GemmalocalError(event.message, event.hint))

    def _ask_login(self, spec: dict[str, Any], event: Failed) -> None:
        """Where its terms are accepted, and for a token; then it is fetched again."""
        again = partial(self._fetch, spec["model"], spec["gguf"])
        self.show_dialog(LoginScreen(again, event.message, spec["model"], event.error == "TermsWanted"))

    def _tell(self, words: Content) -> None:
        self.query_one("#fetching", Static).update(words)
        self.refresh_bindings()

    def action_stop(self) -> None:
        """Stop fetching, which keeps files that are whole, or importing, which keeps nothing."""
        if self._working is not None:
            self._working.ask(do="stop")
            self._tell(Content("Stopping ..."))


def _named(words: str) -> tuple[str, str | None]:
    """A model's name on the Hub, and the GGUF file of it that is wanted, if one is."""
    name, _, file = words.partition(" ")
    return model_names.on_hub(name), file.strip() or None


def progress(name: str, event: Progress, pace: float) -> Content:
    """How far a download is: share, what it does, how fast, what is left."""
    share = event.done / max(1, event.total)
    left = f" · {throughput.duration((event.total - event.done) / pace)} left" if pace > 0 else ""
    speed = f" · {size(pace)}/s" if pace > 0 else ""
    of_all = f"{gigabytes(event.done, 2)} of {gigabytes(event.total, 2)} GB"
    return Content.assemble((bar(share, BAR), "$accent"), f" {name} · {of_all}{speed}{left}")
