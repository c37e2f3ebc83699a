"""A section of a form: a line that names it and says how many of its fields were changed; folded until it is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget

from gemmalocal.jobs.plurals import plural


class SectionLine(Widget, can_focus=True):
    """Its name; Enter, or a click, folds and unfolds what is below."""

    DEFAULT_CSS = """
    SectionLine { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    SectionLine:focus { background: $block-cursor-background; }
    """
    BINDINGS = [Binding("enter,space", "fold", "Fold, unfold")]

    def __init__(self, title: str, fields: Sequence[str]) -> None:
        super().__init__()
        self._title, self._fields, self.changed, self.folded = title, fields, 0, True
        more = f"{len(fields)} more {plural(len(fields), 'setting')}"
        self.HELP = f"**{title}** has {more}. **Enter** shows them, or hides them again."  # type: ignore[misc]

    def render(self) -> Content:
        """Name, how much there is below, and what, as long as that is folded."""
        count = len(self._fields)
        words = (f"{self.changed} of {count} changed", "$warning") if self.changed else (f"{count}", "$muted")
        names = (f"  {', '.join(self._fields)}", "$muted") if self.folded else ""
        return Content.assemble("▸ " if self.folded else "▾ ", (self._title, "bold $secondary"), "  ", words, names)

    def action_fold(self) -> None:
        """The other way."""
        assert isinstance(self.parent, FieldSection)
        self.parent.fold(not self.folded)

    def on_click(self, event: events.Click) -> None:
        """The same."""
        self.focus()
        self.action_fold()


class FieldSection(Vertical):
    """The fields of one section, by what they are called."""

    DEFAULT_CSS = """
    FieldSection { height: auto; }
    FieldSection:first-of-type { margin: 1 0 0 0; }
    FieldSection > .fields { height: auto; padding: 0 0 1 2; }
    """

    def __init__(self, name: str, fields: Mapping[str, Widget]) -> None:
        super().__init__()
        self._line = SectionLine(name, list(fields))
        self._box = Vertical(*fields.values(), classes="fields")
        self._box.display = False

    def compose(self) -> ComposeResult:
        """The line, the fields."""
        yield self._line
        yield self._box

    def fold(self, folded: bool) -> None:
        """Hide the fields, or show them."""
        self._line.folded, self._box.display = folded, not folded
        self._line.refresh()

    def count(self, changed: int) -> None:
        """Say how many of its fields were changed."""
        if changed != self._line.changed:
            self._line.changed = changed
            self._line.refresh()
