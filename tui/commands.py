"""What can be done on a screen, out of its keys and the app's: for the palette and for help."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from textual.app import App
from textual.binding import ActiveBinding, Binding
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widget import Widget

MOVES = ("cursor_", "scroll", "page_", "move", "focus_", "command_palette", "jump")  # are no commands of a screen
WIDGETS = {
    "Input": "A line to write in.",
    "TextArea": "A text to write in. Arrows move, Ctrl and arrows by words.",
    "OptionList": "A list. Up and down move, Enter takes the one under the cursor.",
    "DataTable": "A table. Up and down move, Enter opens the row under the cursor.",
    "Button": "A button. Enter presses it.",
    "Tree": "A tree. Up and down move, Enter opens and closes.",
    "VerticalScroll": "A text that scrolls: up, down, Page Up, Page Down.",
}  # by a class of Textual's: what it is, where nothing says it better


class Command(NamedTuple):
    """Something that can be done: in a few words, in a sentence, how, and by which key."""

    words: str
    about: str
    do: Callable[[], Any]
    key: str = ""


def of_screen(screen: Screen[Any]) -> Iterator[Command]:
    """Every action that is to be had there just now, each once, in the order of its keys."""
    seen: set[str] = set()
    for active in screen.active_bindings.values():
        binding, node = active.binding, active.node
        action = binding.action.removeprefix("app.")
        if (
            not active.enabled
            or action in seen
            or not binding.description
            or not is_ours(active)
            or action.startswith(MOVES)
        ):
            continue
        seen.add(action)
        run = partial(screen.app.run_action, binding.action, node)
        yield Command(binding.description, about(node, binding.action), run, screen.app.get_key_display(binding))


def is_ours(active: ActiveBinding) -> bool:
    """Whether one of our classes has made a key lead to that action."""
    classes = (kind for kind in type(active.node).__mro__ if kind.__module__.startswith("tui."))
    bindings = (binding for kind in classes for binding in vars(kind).get("BINDINGS", ()))
    return any(isinstance(binding, Binding) and binding.action == active.binding.action for binding in bindings)


def about(node: DOMNode, action: str) -> str:
    """What an action does: the first sentence of what its code says of it."""
    name = action.partition("(")[0]
    owner: object = node
    if "." in name:
        place, name = name.rsplit(".", 1)
        owner = node.app if place == "app" else getattr(node, place, node)
    method = getattr(owner, f"action_{name}", None)
    said = (inspect.getdoc(method) or "").split("\n\n")[0].replace("\n", " ")
    return said if type(owner).__module__.startswith("tui.") or isinstance(owner, App) else ""


def help_of(widget: Widget | None) -> str:
    """What is said of what has the focus: by itself, by what it is in, or by what kind of thing it is."""
    if widget is None:
        return ""
    for node in widget.ancestors_with_self:
        if isinstance(node, Screen):
            break
        if node.HELP:
            return inspect.cleandoc(node.HELP)
    return next((WIDGETS[kind.__name__] for kind in type(widget).__mro__ if kind.__name__ in WIDGETS), "")
