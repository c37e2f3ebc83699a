"""The app: keys, theme and palette; hands what the watcher saw to the screens. It starts no job and reads no file."""

from __future__ import annotations

import asyncio
import gc
import importlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.binding import Binding
from textual.css.query import NoMatches
from textual.driver import Driver
from textual.filter import LineFilter
from textual.screen import Screen
from textual.widget import Widget

from gemmalocal.errors import GemmalocalError
from gemmalocal.jobs.terminal_text import on_line
from gemmalocal.workspace import settings
from tui import border, strip_caches
from tui.background import run_in_background
from tui.lean_output import lean
from tui.screens.home import HomeScreen
from tui.screens.leave import leave, unsaved
from tui.screens.run_screen import (
    KEPT,
    AppScreen,
    ChangePreparation,
    Deleted,
    JobStarted,
    OpenRun,
    PreparationStarted,
    RunScreen,
)
from tui.style_sheets import KeptStylesheet
from tui.theme import DARK, LIGHT, PLAIN_GREY, THEMES, NoColor, colorless, state, with_roles
from tui.type_ahead import TypeAhead

if TYPE_CHECKING:  # the first frame does not wait for these: see LATER
    from gemmalocal.workspace.runs import Run
    from tui.commands import Command
    from tui.watch import Watcher

POLL = 0.25  # seconds
NAME, WORDS = 64, 200  # cells in the palette, at most: of a run's name, and of what a recipe says of itself
THEME = "theme"  # the setting
# After the first frame, so that no screen waits for its own import: the others, pydantic, and what needs it.
LATER = (
    *(
        f"tui.screens.{name}"
        for name in (
            "shelf",
            "palette",
            "help",
            "jump",
            "pick",
            "new_run",
            "label",
            "models",
            "recipe",
            "train",
            "compare",
            "export",
            "documents",
        )
    ),
    *(
        "tui.widgets.run_detail",
        "gemmalocal.recipe.recipe_file",
        "gemmalocal.planning.preview",
        "gemmalocal.recipe.prepare_schema",
        "tui.widgets.field_form",
    ),
)
ACCOUNT = (  # what the palette says, and the function of tui.screens.login
    ("Log in to Hugging Face", "Give a token: gated models want one.", "log_in"),
    ("Log out of Hugging Face", "Forget the tokens on this machine.", "log_out"),
    ("Who am I on Hugging Face?", "Ask the Hub whose token is here.", "who"),
)
COLLECT = (2000, 10, 100)  # objects until the young are looked through, times until the older, and until all are
ENDINGS = {"failed": "error", "killed": "error", "strained": "warning"}

border.build()
strip_caches.build()


class GemmalocalApp(TypeAhead):
    """Looks at job directories, and draws."""

    TITLE = "gemmalocal"
    CSS_PATH = ["theme.tcss", "screens/home.tcss"]
    BINDINGS = [
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("f1", "help", "Help"),  # where ? is written
        Binding("q", "quit", "Quit"),
        Binding("f2", "jump", "Jump to a field", show=False),
        Binding("ctrl+q", "app.quit", "Quit", priority=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._runs: list[Run] | None = None
        self._prepared: list[Run] = []
        self._guard = border.Guard()
        self._recipes: list[tuple[str, str, Path]] = []  # name, what it says of itself, file
        self.no_color |= colorless()
        self._take_look()

    def _take_look(self) -> None:
        """The colours, before there is anything that would have to be drawn again with them."""
        for theme in THEMES:
            self.register_theme(theme)
        chosen = _chosen_theme()
        look = PLAIN_GREY.name if self.no_color else chosen if chosen in self.available_themes else DARK.name
        self.set_reactive(App.theme, look)
        self.set_class(self.current_theme.dark, "-dark-mode", update=False)
        self.set_class(not self.current_theme.dark, "-light-mode", update=False)
        self.stylesheet = self._sheets = KeptStylesheet(variables=self.get_css_variables())

    @cached_property
    def _watcher(self) -> Watcher:
        from tui.watch import Watcher

        return Watcher()

    @cached_property
    def _preparations(self) -> Watcher:
        from gemmalocal.workspace import preparations
        from tui.watch import Watcher

        return Watcher(preparations.list_all)

    def get_driver_class(self) -> type[Driver]:
        """That of the terminal, with fewer bytes."""
        return lean(super().get_driver_class())

    def on_resize(self) -> None:
        """A terminal of another size shows something else than was sent."""
        if forget := getattr(self._driver, "forget", None):
            forget()

    def get_default_screen(self) -> Screen[None]:
        """Home."""
        return HomeScreen()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's, and the border's; where there is to be no colour, really none."""
        if self.no_color:
            return [NoColor(), self._guard]
        return [*super().get_line_filters(), self._guard]

    def get_css_variables(self) -> dict[str, str]:
        """Those of the theme, for style sheets and for spans of text alike."""
        self.theme_variables = with_roles(super().get_css_variables(), self.current_theme)
        return self.theme_variables

    def notify(self, message: str, **options: Any) -> None:
        """A toast; what it says is never markup."""
        super().notify(message, **{**options, "markup": False})

    def copy_to_clipboard(self, text: str) -> None:
        """A text, without what cannot be encoded."""
        super().copy_to_clipboard(text.encode("utf-8", "replace").decode())

    def on_mount(self) -> None:
        """Look, for as long as the app lives."""
        run_in_background(self, self._watch)

    async def _watch(self) -> None:
        await self._painted()  # first: a thread at work would make that wait
        _collect_seldom()
        await asyncio.to_thread(importlib.import_module, "tui.watch")
        while self._runs is None or not all(run.whole for run in self._runs):
            self._show_runs(await asyncio.to_thread(self._watcher.look))
            await self._painted()
        self._sheets.read_later()
        for name in LATER:
            await asyncio.to_thread(importlib.import_module, name)
        from gemmalocal.workspace import trash
        from tui.screens.recipes import known_recipes

        self._recipes = await asyncio.to_thread(known_recipes)
        await asyncio.to_thread(trash.tidy)
        _collect_seldom()
        while True:
            await asyncio.sleep(POLL)
            self._show_runs(await asyncio.to_thread(self._watcher.look))
            before, self._prepared = self._prepared, await asyncio.to_thread(self._preparations.look)
            self._tell_endings(before, self._prepared)

    async def _painted(self) -> None:
        painted = asyncio.Event()
        self.screen.call_after_refresh(painted.set)
        with suppress(TimeoutError):  # its screen may be gone
            await asyncio.wait_for(painted.wait(), POLL)

    def _show_runs(self, now: list[Run]) -> None:
        """Hand on what is new."""
        before, self._runs = self._runs, now
        if before is None or list(map(id, before)) != list(map(id, now)):
            self.on_screen_shown()
            self._tell_endings(before or [], now)

    def _tell_endings(self, before: list[Run], now: list[Run]) -> None:
        """A run, or a preparation, that ended while its screen is not the one that is looked at."""
        live = {run.folder for run in before if run.state.status == "live"}
        for run in now:
            looked_at = isinstance(self.screen, RunScreen) and self.screen.folder == run.folder
            if run.folder in live and run.state.status != "live" and not looked_at:
                reason = f": {words}" if (words := _last_words(run)) else ""
                severity = ENDINGS.get(run.state.status, "information")
                self.notify(f"{run.name} {run.state.status}{reason}", severity=severity, markup=False)

    def on_screen_shown(self) -> None:
        """Hand a screen what was last seen; one that is being closed has no widgets any more."""
        if self.is_running and self._runs is not None and isinstance(self.screen, AppScreen):
            with suppress(NoMatches):
                self.screen.show_runs(self._runs)

    def on_job_started(self, event: JobStarted) -> None:
        """Its exit code will be known."""
        self._watcher.adopt(event.job)

    def on_deleted(self, event: Deleted) -> None:
        """It may come back, as long as it is the last."""
        for home in self.screen_stack[:1]:  # none while the app ends
            if isinstance(home, HomeScreen):
                home.remember(event.entry)
        self.notify(f"{event.entry.name} is in the trash for {KEPT} days. ^z at home brings it back.")

    def on_preparation_started(self, event: PreparationStarted) -> None:
        """Its end will be told, wherever it is made."""
        self._preparations.add(event.folder)

    def on_change_preparation(self, event: ChangePreparation) -> None:
        """The form, filled with what the dataset was made by."""
        from tui.screens.documents import DocumentsScreen  # see LATER

        self.push_screen(DocumentsScreen(event.name, event.spec))

    def on_open_run(self, event: OpenRun) -> None:
        """Look at a run, with nothing but home behind it."""
        self._open(event.folder)

    async def action_quit(self) -> None:
        """Out, after a question where a screen has something that is not saved."""
        leave(self, unsaved(self.screen_stack), "Quit", self.exit)

    def _leave_for(self, folder: Path) -> None:
        leave(self, unsaved(self.screen_stack), "Leave", partial(self._open, folder))

    def _open(self, folder: Path) -> None:
        from tui.screens.train import TrainScreen  # see LATER

        while len(self.screen_stack) > 1:
            self.pop_screen()
        self.push_screen(TrainScreen(folder))

    def action_command_palette(self) -> None:
        """What can be done here, and runs and recipes by a few letters; unless that is being asked already."""
        from tui.commands import of_screen
        from tui.screens.palette import Palette  # see LATER

        if any(isinstance(screen, Palette) for screen in self.screen_stack):
            return
        first = [*of_screen(self.screen), *self._commands()]
        self.push_screen(Palette("What do you want to do?", first, [*self._openable()]), self._do)

    def _do(self, command: Command | None) -> None:
        if command is not None:
            self.call_later(command.do)

    def _commands(self) -> Iterator[Command]:
        """What can be done anywhere, beside what has a key on every screen."""
        from tui.commands import Command

        yield Command("Theme", "Choose the colours: dark, light, high contrast, none.", self.action_change_theme)
        yield Command("Light or dark", "Switch between gemmalocal's dark and light colours.", self._other_theme)
        for words, about, name in ACCOUNT:
            yield Command(words, about, partial(self._account, name))
        yield Command("Jump to a field", "Show a letter at every place; it leads there.", self.action_jump, "f2")
        yield Command("Picture of the screen", "Save what is shown as an SVG file.", self.deliver_screenshot)

    def _account(self, name: str) -> None:
        """Log in, log out, or ask who we are."""
        from tui.screens import login  # see LATER

        getattr(login, name)(self)

    def _openable(self) -> Iterator[Command]:
        """Runs and recipes; their names are plain text."""
        from tui.commands import Command

        for run in self._runs or []:
            word = state(run.state.status).word
            yield Command(f"Open {on_line(run.name, NAME)}", word, partial(self._leave_for, run.folder))
        for name, words, path in self._recipes:
            yield Command(f"New run by {on_line(name, NAME)}", on_line(words, WORDS), partial(self._begin, path))

    def _begin(self, recipe: Path) -> None:
        from tui.screens.recipe import RecipeScreen  # see LATER

        self.push_screen(RecipeScreen(recipe))

    def action_change_theme(self) -> None:
        """Choose the colours."""
        from tui.commands import Command
        from tui.screens.palette import Palette  # see LATER

        names = sorted(self.available_themes, key=lambda name: (self.available_themes[name] not in THEMES, name))
        kinds = {True: "dark", False: "light"}
        themes = [Command(name, kinds[self.available_themes[name].dark], partial(self._paint, name)) for name in names]
        self.push_screen(Palette("Theme", themes), self._do)

    def _paint(self, theme: str) -> None:
        """These colours, also the next time."""
        self.theme = theme
        run_in_background(self, partial(_keep, theme))

    def action_help(self) -> None:
        """What this screen is for, what has the focus, and every key."""
        from tui.screens.help import HelpScreen, help_on  # see LATER

        self.push_screen(HelpScreen(help_on(self.screen)))

    def action_jump(self) -> None:
        """Give every place on this screen a letter that leads to it."""
        from tui.screens.jump import JumpScreen  # see LATER

        def jumped(place: Widget | None) -> None:
            if place is not None and place.is_attached:
                place.focus()

        self.push_screen(JumpScreen(self.screen), jumped)

    def _other_theme(self) -> None:
        self._paint(LIGHT.name if self.theme != LIGHT.name else DARK.name)


def _chosen_theme() -> str:
    """What was chosen the last time; read before the first frame, so that this has its colours."""
    with suppress(GemmalocalError, OSError):
        return settings.text(THEME)
    return ""


def _collect_seldom() -> None:
    """What is there now, modules and past runs, is here to stay: looking through it again stops the app for 80 ms."""
    gc.freeze()
    gc.set_threshold(*COLLECT)


async def _keep(theme: str) -> None:
    await asyncio.to_thread(settings.write, THEME, theme)


def _last_words(run: Run) -> str:
    """Why it came to no good end, or how many rows a preparation made; a run's end needs no more words."""
    if run.trouble is not None:
        return run.trouble.message
    last_word = run.state.last_word
    return last_word.message if last_word is not None and run.state.kind == "prepare" else ""
