"""A recipe as a form; beside it, live, what it will take on this machine."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.suggester import Suggester
from textual.widgets import Button, Static

from gemmalocal.errors import GemmalocalError
from gemmalocal.files import atomic, targets
from gemmalocal.files.sizes import gigabytes
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Failed, Report, Stage
from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.planning import throughput
from gemmalocal.workspace import preparations, runs
from tui.background import run_in_background
from tui.errand import errand, events_of
from tui.remedies import in_app
from tui.screens.ask_path import AskPathScreen
from tui.screens.form_screen import FIELD_KEYS, FormScreen
from tui.screens.login import WANTED, LoginScreen
from tui.screens.problem import ProblemScreen
from tui.screens.report import ReportScreen
from tui.screens.run_screen import JobStarted, OpenRun
from tui.style_sheets import sheets
from tui.theme import framed
from tui.widgets.completion import Completion
from tui.widgets.field_help import FieldHelp
from tui.widgets.keys import Keys
from tui.widgets.marks import bar
from tui.widgets.title_line import TitleLine

if TYPE_CHECKING:
    from gemmalocal.planning.preview import Outlook
    from gemmalocal.recipe.schema import Recipe

PAUSE = 0.15  # seconds without a key before the plan is made again
BAR = 34  # cells
BASIC = {  # the fields that come first, and their names there: which model, which rows, how long, how careful
    "model": "model", "data.path": "rows", "train.steps": "steps", "train.epochs": "or epochs",
    "train.minutes": "or minutes",
    "train.learning_rate": "learning rate", "lora.rank": "rank",
}  # fmt: skip


class RecipeScreen(FormScreen):
    """Opens the recipe in `path`, with `changes` put over it; Start begins a run named after it, or after `stem`.

    The focus is on Start, or on the field of the key `at`.
    """

    CSS_PATH = sheets("controls", "recipe")

    BINDINGS = [
        Binding("ctrl+r", "start", "Start"),
        Binding("ctrl+t,c", "check", "Check", key_display="^t"),
        Binding("ctrl+s", "save", "Save"),
        *FIELD_KEYS,
        Binding("escape", "leave", "Back"),
    ]

    def __init__(self, path: Path, changes: dict[str, Any] | None = None, stem: str = "", at: str = "") -> None:
        super().__init__()
        self._path, self._changes, self._stem, self._at = path, changes or {}, stem, at
        self._recipe: Recipe | None = None
        self._wrong: dict[str, str] = {}  # what it names that is not here
        self._checking = False

    @property
    def stem(self) -> str:
        """What runs by it are called: the file's name, or the run's whose recipe it is."""
        if self._stem or not self._in_run:
            return self._stem or self._path.stem
        return self._path.parent.name.rstrip("0123456789").rstrip("-")

    @property
    def _in_run(self) -> bool:
        return (self._path.parent / "job.json").is_file()

    def compose(self) -> ComposeResult:
        """Title, plan and buttons, form, the help of the field at hand, keys."""
        from gemmalocal.recipe.objective import completed
        from gemmalocal.recipe.schema import Recipe
        from tui.widgets.field_form import FieldForm

        yield TitleLine(f"Recipe {self.stem}")
        with Vertical(id="body"):
            yield framed(FieldForm(Recipe, basic=BASIC, completions=_completions(), completed=completed), "Recipe")
            with framed(VerticalScroll(id="plan-box", can_focus=False), "What it takes"):
                yield Static(id="plan")
                yield Button("Start (Enter)", id="start", variant="primary", compact=True)
        yield FieldHelp("Start begins the run. You may close the app; the run goes on.")
        yield Keys()

    def on_mount(self) -> None:
        """Fill the form from the file; the focus is on Start, so that Enter is enough."""
        from gemmalocal.recipe import recipe_file

        try:
            tree = recipe_file.parse(self._path)
        except GemmalocalError as error:
            self.app.pop_screen()
            self.app.push_screen(ProblemScreen.of("This recipe cannot be opened", error))
            return
        self._form.fill(overlaid(tree, self._changes))
        self._keep()
        if not self._form.focus_on(self._at):
            self.query_one("#start").focus()
        self._edited()

    def _edited(self) -> None:
        """Hold it against the schema at once, plan after a pause."""
        from gemmalocal.recipe import recipe_file
        from gemmalocal.recipe.schema import Recipe

        recipe, problems = recipe_file.from_tree(self._form.values(), Recipe)
        self._recipe = recipe_file.anchored(recipe, self._path.parent) if recipe else None
        self._wrong = {}
        self._show_problems(problems, "")
        self.query_one("#start", Button).disabled = bool(problems)
        if self._recipe is None:
            self.workers.cancel_group(self, "plan")  # or one on its way would be put over the problems
            words = [f"{key}: {in_app(message)}" for key, message in problems.items()]
            self.query_one("#plan", Static).update(Content("\n".join(words)))
        else:
            run_in_background(self, partial(self._plan, self._recipe), group="plan", exclusive=True)

    async def _plan(self, recipe: Recipe) -> None:
        from gemmalocal.planning import preview

        await asyncio.sleep(PAUSE)
        wrong, remarks = await asyncio.to_thread(_looked_up, recipe)
        self._show_problems(wrong, "no problems")
        self._wrong = wrong
        self.query_one("#start", Button).disabled = bool(wrong)
        outlook = await asyncio.to_thread(preview.outlook, recipe)
        words = [Content.styled(f"{key}: {in_app(message)}", "$bad") for key, message in wrong.items()]
        words += [Content.styled(line, "$warning") for line in remarks]
        self.query_one("#plan", Static).update(Content("\n").join([*words, plan(recipe, outlook)]))

    def action_start(self) -> None:
        """Begin the run and look at it."""
        if (recipe := self._recipe) is None or self._wrong:
            self.notify("First correct the marked fields.", severity="warning")
            return
        run_in_background(self, partial(self._start, recipe), exclusive=True, group="start")

    async def _start(self, recipe: Recipe) -> None:
        with self.problem_shown("The run could not be started"):
            self.query_one(TitleLine).right = "starting ..."
            job = await asyncio.to_thread(runs.begin, recipe, None, self.stem)
            self._keep()  # with the run
            self.post_message(JobStarted(job))
            self.post_message(OpenRun(job.directory))

    def action_check(self) -> None:
        """Read the rows in a child process and show what it found."""
        if self._recipe is None or self._checking:
            self.notify("First correct the marked fields." if self._recipe is None else "The check is already running.")
            return
        self._checking = True
        run_in_background(self, partial(self._check, self._recipe))

    async def _check(self, recipe: Recipe) -> None:
        title = self.query_one(TitleLine)
        title.right = "checking ..."
        report: dict[str, Any] = {}
        failed: Failed | None = None
        try:
            async with errand("check", recipe.model_dump(mode="json")) as job:
                async for event in events_of(job):
                    match event:
                        case Stage():
                            title.right = f"{event.name} ..."
                        case Report():
                            report = event.data
                        case Failed():
                            failed = event
        finally:
            self._checking, title.right = False, ""
        if failed and failed.error in WANTED:
            is_here = failed.error == "TermsWanted"
            self.show_dialog(LoginScreen(self.action_check, failed.message, recipe.model, is_here))
        elif report or failed:
            self.show_dialog(ReportScreen(f"Check of {self.stem}", checked(report, failed)))

    def action_save(self) -> None:
        """As YAML, defaults left out; the same that the command line reads."""
        if self._recipe is None:
            self.notify("First correct the marked fields.", severity="warning")
            return
        self.app.push_screen(AskPathScreen("Save the recipe as", Path.cwd() / f"{self.stem}.yaml"), self._save)

    def _save(self, path: Path | None) -> None:
        from gemmalocal.recipe import recipe_file

        if path is None or self._recipe is None:
            return
        with self.problem_shown("The recipe could not be saved"):
            atomic.write_text(targets.checked_file(path), recipe_file.dump(self._recipe), shared=True)
            self._keep()
            self.notify(f"Saved: {path}", markup=False)


def _looked_up(recipe: Recipe) -> tuple[dict[str, str], list[str]]:
    """What is wrong with it on this machine, by key, and what else is to be known before a start; reads files."""
    from gemmalocal.planning import expected, obstacles

    slow = obstacles.slow(recipe)
    remarks = [f"{slow[0].upper()}{slow[1:]}."] if slow else []
    return {**obstacles.missing(recipe), **expected.problems(recipe)}, expected.downloads(recipe) + remarks


def _completions() -> dict[str, Suggester]:
    """What is known of here, by key."""
    from gemmalocal.planning import expected

    def runs_here() -> list[str]:
        return [folder.name for folder in history.list_runs()]

    def datasets_here() -> list[str]:
        return [folder.name for folder in preparations.list_all()]

    return {
        "model": Completion(expected.models),
        "data.path": Completion(datasets_here),
        "data.chat_template": Completion(),
        "start_from": Completion(runs_here),
        "teacher.model": Completion(lambda: [*runs_here(), *expected.models()]),
    }


def overlaid(tree: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Nested keys with others put over them, section by section."""
    both = {key: (tree[key], value) for key, value in changes.items() if isinstance(tree.get(key), dict)}
    inner = {key: overlaid(old, new) for key, (old, new) in both.items() if isinstance(new, dict)}
    return {**tree, **changes, **inner}


def checked(report: dict[str, Any], failed: Failed | None) -> Text:
    """Why a check failed, if it did, and below it what it found, all in one."""
    from gemmalocal.cli.check import lines
    from gemmalocal.cli.output import page

    report_text = Text.from_ansi(page(lines(report))) if report else Text()
    if failed is None:
        return report_text
    return Text.assemble((failed.message, "bold"), f" {in_app(failed.hint)}\n\n", report_text)


def plan(recipe: Recipe, outlook: Outlook) -> Content:
    """Memory with its parts, whether it fits, steps and time."""
    from gemmalocal.planning import model_sizes
    from gemmalocal.recipe import rates
    from gemmalocal.recipe.schedule_remarks import schedule_remarks

    parts: list[Any] = []
    limit = outlook.memory.usable
    if outlook.peak is None:
        parts += ["Memory: not known yet. Check (^t) looks at the model and tells it.\n"]
    else:
        peak = outlook.peak
        fits = peak.fits(limit)
        parts += [
            ("Memory at peak, at most", "bold"),
            f"  {gigabytes(peak.total)} of {gigabytes(limit)} GB\n",
            (bar(peak.total / limit, BAR), "$good" if fits else "$bad"),
            f"\nweights {gigabytes(peak.weights)} · activations {gigabytes(peak.activations)}"
            f" · output head {gigabytes(peak.head)} · adapter {gigabytes(peak.adapter, 2)}\n",
            ("Fits" if fits else "Does NOT fit", "bold $text-success" if fits else "bold $text-error"),
            f", {counted(outlook.rows, 'row')} at once",
            ", with checkpointing" if outlook.checkpointing else "",
            "." if fits else f"; rows of up to {counted(outlook.longest_row, 'token')} would.",
            f" This counts {counted(recipe.data.max_length, 'token')} for every row.\n",
        ]
    if outlook.teacher is not None:
        much = f"{gigabytes(outlook.teacher)} of {gigabytes(limit)} GB"
        parts += [f"The teacher reads the rows first, with {much} at most, and is gone before training.\n"]
    train, sizes = recipe.train, model_sizes.sizes_of(recipe.model)
    rate, _ = rates.learning_rate(recipe, sizes.weights if sizes else None)
    given = train.learning_rate != "auto" or recipe.search.on
    rows = counted(train.rows_per_step, "row") + ("" if given else f", learning rate {rate:g} (auto)")
    if train.minutes is not None:
        parts += [f"{throughput.duration(60 * train.minutes)}, in steps of {rows}; "]
    else:
        epochs = train.epochs or 0
        steps = counted(train.steps, "step") if train.steps else f"{epochs:g} {plural(epochs, 'epoch')}"
        parts += [f"{steps} of {rows}; "]
    if train.minutes is not None and outlook.steps:
        parts += [f"about {counted(outlook.steps, 'step')}, at the speed of {outlook.run}."]
    elif train.minutes is not None:
        parts += ["how many is known once this machine has trained this model on these rows."]
    elif outlook.seconds is not None:
        parts += [f"about {throughput.duration(outlook.seconds)}, at the speed of {outlook.run}."]
    else:
        parts += ["the time is known once this machine has trained this model on these rows."]
    parts += [f"\n{remark[0].upper()}{remark[1:]}." for remark in schedule_remarks(train)]
    return Content.assemble(*parts)
