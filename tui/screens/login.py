"""Who we are on the Hub: a token is asked for, checked by the Hub, and kept where its own programs find it too."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.widgets import Input, Static

from gemmalocal.errors import GemmalocalError
from gemmalocal.files import system_errors
from gemmalocal.jobs.events import Failed, Notice, Report
from gemmalocal.workspace import model_names
from tui.background import run_in_background
from tui.errand import errand, events_of
from tui.remedies import in_app
from tui.screens.confirm import ConfirmScreen
from tui.screens.dialog import Dialog
from tui.screens.errand_screen import Errand, ErrandScreen

TOKENS = "https://huggingface.co/settings/tokens"
WANTED = ("LoginWanted", "TermsWanted")  # errors of a fetch after which a login, or a yes to terms, helps


class LoginScreen(Dialog[None]):
    """Asks for a token; `then` is called once the Hub has taken it.

    Of a gated `model` it says where its terms are accepted, and `why` it was not given. With a token that `is_here`
    nothing need be written: then Enter only tries again.
    """

    BINDINGS = [
        Binding("ctrl+y", "copy", "Copy address", priority=True),
        Binding("escape", "dismiss", "Back"),
    ]

    def __init__(self, then: Callable[[], None], why: str = "", model: str = "", is_here: bool = False) -> None:
        super().__init__("Log in to Hugging Face")
        self._then, self._why, self._model, self._is_here = then, why, model, is_here
        self._asking = False
        self.taking = "Try again" if is_here else "Log in"

    def body(self) -> ComposeResult:
        """Why, what to do, the line for the token, what came of it."""
        if self._why:
            yield Static(f"{self._why}\n", markup=False)
        steps = ["Paste a token that may read. It is not shown, and kept where the Hub's own programs find it."]
        if self._is_here:
            steps = ["Then Enter tries again with the token that is here; or paste the token of who has accepted them."]
        else:
            steps.insert(0, f"Make a token: {TOKENS}")
        if self._model:
            steps.insert(0, f"Read its terms and accept them, in a browser: {model_names.page(self._model)}")
        yield Static("\n".join(f"{number}  {step}" for number, step in enumerate(steps, 1)), markup=False)
        line = Input(password=True, placeholder="nothing: the token that is here" if self._is_here else "hf_...")
        line.HELP = "The token. Every letter is shown as a dot."  # type: ignore[misc]
        yield line
        yield Static(id="warning", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Have the Hub look at it, or try again with the one that is here."""
        token = event.value.strip()
        if not token and self._is_here:
            self._done("")
        elif not token:
            self._say("No token was given.")
        elif not self._asking:
            self._asking = True
            self._say("asking the Hub ...", wrong=False)
            run_in_background(self, partial(self._log_in, token), group="login", exclusive=True)

    async def _log_in(self, token: str) -> None:
        """The same job as that of the command line; only its answer is kept here."""
        try:
            async with errand("account", {"do": "login"}, token) as job:
                async for event in events_of(job):
                    match event:
                        case Report():
                            self._done(f"Logged in as {event.data['name']}.")
                        case Failed():
                            self._asking = False  # another token may be written while the job goes
                            self._say(f"{event.message} {in_app(event.hint)}")
        except (GemmalocalError, OSError) as error:
            cause = system_errors.explained(error)
            self._asking = False
            self._say(f"{cause.message} {in_app(cause.hint)}" if cause else str(error))

    def _done(self, words: str) -> None:
        if words:
            self.notify(words, markup=False)
        self.dismiss()
        self._then()

    def _say(self, words: str, wrong: bool = True) -> None:
        if self.is_attached:
            self.query_one("#warning", Static).update(Content.styled(words, "$bad" if wrong else "$muted"))

    def action_copy(self) -> None:
        """The address where the terms are accepted, or where tokens are made."""
        self.app.copy_to_clipboard(model_names.page(self._model) if self._model else TOKENS)
        self.notify("Copied.")


def log_in(app: App[Any]) -> None:
    """Ask for a token."""
    app.push_screen(LoginScreen(lambda: None))


def who(app: App[Any]) -> None:
    """Say whose token is here, and what it may do; the Hub is asked."""
    from gemmalocal.cli.publish import owner

    app.push_screen(ErrandScreen("Who am I on Hugging Face?", Errand("account", {"do": "whoami"}, owner)))


def log_out(app: App[Any]) -> None:
    """Forget the tokens, if the person is sure."""

    def forget(sure: bool | None) -> None:
        if sure:
            run_in_background(app, partial(_log_out, app))

    words = "Tokens of Hugging Face on this machine are forgotten, also for other programs. Models that are here stay."
    app.push_screen(ConfirmScreen("Log out of Hugging Face?", words, "Log out"), forget)


async def _log_out(app: App[Any]) -> None:
    said = "Logged out of Hugging Face."
    async with errand("account", {"do": "logout"}) as job:
        async for event in events_of(job):
            match event:
                case Notice():
                    said = event.text
                case Failed():
                    said = f"{event.message} {in_app(event.hint)}"
    app.notify(said, markup=False)
