"""Where a question is written, in one line or several; while it is empty, arrows and = are votes."""

from __future__ import annotations

from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.widgets import TextArea

VOTES = {"left": -1, "equals_sign": 0, "right": 1}
NEW_LINE = ("shift+enter", "alt+enter", "ctrl+o")


class Question(TextArea):
    """Posts `Asked` for Enter, and `Voted` for left, = and right as long as nothing is written."""

    HELP = """Write a question and press **Enter**; **Ctrl+O** begins a new line, or Enter after a backslash. **Up**
brings an earlier question back. While nothing is written, **←** says that the left answer is better, **→** the right
one; again moves the vote, **=** takes it back, and then says that all are good, or none. **/temperature 0.8**,
**/top_p 0.9**, **/top_k 40**, **/seed 1** and **/max_tokens 64** change how answers are drawn; **/system** and a text
tells the models how to answer, **/tools** and a file what they may call."""
    DEFAULT_CSS = "Question { height: auto; min-height: 1; max-height: 6; border: none; padding: 0; }"
    BINDINGS = [Binding("enter", "ask", "Ask"), Binding(",".join(NEW_LINE), "new_line", "New line", key_display="^o")]

    class Asked(Message):
        """What was written."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Voted(Message):
        """-1 for the left answer, 1 for the right one, 0 for neither."""

        def __init__(self, side: int) -> None:
            super().__init__()
            self.side = side

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, compact=True, id="question", show_line_numbers=False)
        self._history: list[str] = []
        self._place = 0  # in it; its length is what is being written
        self._draft = ""

    @property
    def value(self) -> str:
        """What is written."""
        return self.text

    @value.setter
    def value(self, text: str) -> None:
        self.text = text
        self.move_cursor(self.document.end)

    def taken(self, text: str) -> None:
        """It was asked: the line is empty, and Up brings it back."""
        if not self._history or self._history[-1] != text:
            self._history.append(text)
        self._place, self.value = len(self._history), ""

    async def _on_key(self, event: events.Key) -> None:
        handled = True
        if event.key == "enter":
            self.action_ask()
        elif event.key in NEW_LINE:
            self.action_new_line()
        elif not self.text and event.key in VOTES:
            self.post_message(self.Voted(VOTES[event.key]))
        elif event.key == "up" and self.cursor_location[0] == 0:
            handled = self._go(-1)
        elif event.key == "down" and self.cursor_location[0] == self.document.line_count - 1:
            handled = self._go(1)
        else:
            handled = False
        if handled:
            event.stop()
            event.prevent_default()
            return
        await super()._on_key(event)

    def action_ask(self) -> None:
        """Ask it; after a backslash, go on in a new line."""
        if self.text.endswith("\\"):
            self.value = self.text[:-1] + "\n"
        elif self.text.strip():
            self.post_message(self.Asked(self.text.strip()))

    def action_new_line(self) -> None:
        """One line more."""
        self.insert("\n")

    def _go(self, by: int) -> bool:
        """To an earlier question, or a later one; whether there is one."""
        place = self._place + by
        if not 0 <= place <= len(self._history):
            return False
        if self._place == len(self._history):
            self._draft = self.text
        self._place = place
        self.value = self._draft if place == len(self._history) else self._history[place]
        return True
