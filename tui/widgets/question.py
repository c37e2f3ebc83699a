"""The line in which a question is written; while it is empty, arrows and = are votes."""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.widgets import Input

VOTES = {"left": -1, "equals_sign": 0, "right": 1}


class Question(Input):
    """An input that posts `Voted` for left, = and right as long as nothing is written."""

    HELP = """Write a question and press **Enter**. While the line is empty, **←** says that the left answer is better,
**→** the right one, and **=** neither. **/temperature 0.8**, **/top_p 0.9**, **/top_k 40**, **/seed 1** and
**/max_tokens 64** change how answers are drawn; **/system** and a text tells the models how to answer."""

    class Voted(Message):
        """-1 for the left answer, 1 for the right one, 0 for neither."""

        def __init__(self, side: int) -> None:
            super().__init__()
            self.side = side

    async def _on_key(self, event: events.Key) -> None:
        if not self.value and event.key in VOTES:
            event.stop()
            event.prevent_default()
            self.post_message(self.Voted(VOTES[event.key]))
            return
        await super()._on_key(event)
