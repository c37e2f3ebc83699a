"""What the screens with a form share: keys from field to field, the form, and a look at it after each change."""

from __future__ import annotations

from typing import Any

from textual.binding import Binding

from gemmalocal.jobs.plurals import counted
from tui.remedies import in_app
from tui.screens.run_screen import AppScreen
from tui.style_sheets import sheets
from tui.widgets.title_line import TitleLine

FIELD_KEYS = (
    Binding("tab", "app.focus_next", "Fields"),
    Binding("down", "app.focus_next", show=False),
    Binding("up", "app.focus_previous", show=False),
)


class FormScreen(AppScreen):
    """A form made from a schema; Start begins what it describes, once it describes something whole."""

    CSS_PATH = sheets("controls")

    def __init__(self) -> None:
        super().__init__()
        self._kept: Any = None  # what is in the form and elsewhere too: as it was filled, or saved

    @property
    def unsaved(self) -> str:
        """What was changed since."""
        return self.LOST if self.is_mounted and self._kept is not None and self._written != self._kept else ""

    LOST = "What you have changed here is lost."

    @property
    def _written(self) -> Any:
        """All that a person may have written."""
        return self._form.values()

    def _keep(self) -> None:
        """What is written is elsewhere too, from now on."""
        self._kept = self._written

    @property
    def _form(self) -> Any:
        return self.query_one("FieldForm")  # by name: its module brings pydantic, which is loaded later

    def _show_problems(self, problems: dict[str, str], otherwise: str) -> None:
        """Each at its field; how many, or what is said `otherwise`, in the title."""
        self._form.show({key: in_app(message) for key, message in problems.items()})
        self._form.mark()
        count = counted(len(problems), "problem")
        self.query_one(TitleLine).right = count if problems else otherwise

    def on_field_form_edited(self) -> None:
        """Another value."""
        self._edited()

    def _edited(self) -> None:
        """Hold the form's values against the schema, and show what is wrong."""
        raise NotImplementedError

    def on_button_pressed(self) -> None:
        """Start."""
        self.action_start()

    def action_start(self) -> None:
        """Begin what the form describes."""
        raise NotImplementedError
