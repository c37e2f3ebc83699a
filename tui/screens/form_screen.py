"""What the screens with a form share: keys from field to field, the form, and a look at it after each change."""

from __future__ import annotations

from typing import Any

from textual.binding import Binding

from tui.screens.run_screen import Watching

FIELD_KEYS = (
    Binding("tab", "app.focus_next", "Fields"),
    Binding("down", "app.focus_next", show=False),
    Binding("up", "app.focus_previous", show=False),
)


class FormScreen(Watching):
    """A form made from a schema; Start begins what it describes, once it describes something whole."""

    @property
    def _form(self) -> Any:
        return self.query_one("FieldForm")  # by name: its module brings pydantic, which is loaded later

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
