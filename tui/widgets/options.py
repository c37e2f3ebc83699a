"""A list of options: Textual's own, where it has no room too."""

from __future__ import annotations

from textual.widgets import OptionList


class Options(OptionList):
    """Where not a line of it is seen there is no page to turn, and Textual looks for one all the same."""

    def action_page_up(self) -> None:
        """A page up, if there are pages."""
        if self.scrollable_content_region:
            super().action_page_up()  # type: ignore[no-untyped-call]

    def action_page_down(self) -> None:
        """A page down, if there are pages."""
        if self.scrollable_content_region:
            super().action_page_down()  # type: ignore[no-untyped-call]
