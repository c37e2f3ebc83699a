"""What a person says of a run: its name, tags, a note."""

from __future__ import annotations

from typing import NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Input, Label, Static

from gemmalocal.errors import GemmalocalError
from gemmalocal.workspace import labels, runs
from gemmalocal.workspace.labels import Labels
from tui.remedies import in_app
from tui.screens.dialog import Dialog


class Said(NamedTuple):
    """What was written."""

    name: str
    labels: Labels


class LabelScreen(Dialog[Said | None]):
    """Gives what was written; None if nothing is to change."""

    BINDINGS = [
        Binding("tab,down", "app.focus_next", "Next field", key_display="tab"),
        Binding("up", "app.focus_previous", show=False),
        Binding("escape", "dismiss(None)", "Back"),
    ]
    taking = "Keep"

    def __init__(self, name: str, said: Labels) -> None:
        super().__init__(f"About {name}")
        self._before = Said(name, said)

    def body(self) -> ComposeResult:
        """Three fields, and what is wrong with them."""
        said = self._before.labels
        fields = (
            ("name", self._before.name, "How the run is called, here and in commands."),
            ("tags", " ".join(said.tags), "Words by which you find it again; the search knows them as #word."),
            ("note", said.note.replace("\n", " "), "Anything: what you tried, and what came of it."),
        )
        for name, value, help_text in fields:
            with Horizontal(classes="field"):
                yield Label(name, classes="name")
                field = Input(value, compact=True, id=f"label-{name}")
                field.HELP = help_text  # type: ignore[misc]
                yield field
        yield Static(id="warning", markup=False)

    def on_input_submitted(self) -> None:
        """Enter in any field: take it, if it can be."""
        name, tags, note = (
            self.query_one(f"#label-{field}", Input).value.strip() for field in ("name", "tags", "note")
        )
        before = self._before.labels
        try:
            if name != self._before.name:
                runs.checked(name)
            said = Said(
                name, Labels(labels.tags_of(tags), before.note if note == before.note.replace("\n", " ") else note)
            )
        except GemmalocalError as error:
            self.query_one("#warning", Static).update(f"{error.message} {in_app(error.hint)}")
            return
        self.dismiss(said if said != self._before else None)
