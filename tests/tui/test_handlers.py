"""Textual finds a handler by its message's name: one whose message is called otherwise is never called, in silence."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module

from textual.message import Message

import tui
import tui.screens
import tui.widgets


def ours() -> Iterator[type]:
    """All classes of the app."""
    for package in (tui, tui.screens, tui.widgets):
        for about in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if not about.name.endswith("__main__"):
                module = import_module(about.name)
                for _, value in inspect.getmembers(module, inspect.isclass):
                    if value.__module__ == about.name:
                        yield value


def messages(base: type[Message] = Message) -> Iterator[type[Message]]:
    for kind in base.__subclasses__():
        yield kind
        yield from messages(kind)


def test_each_handler_has_its_message() -> None:
    handlers = {f"{owner.__name__}.{name}": name for owner in ours() for name in vars(owner) if name.startswith("on_")}
    known = {message.handler_name for message in messages()} | {"on_event"}  # which Textual itself calls
    assert len(handlers) > 30
    assert {where for where, name in handlers.items() if name not in known} == set()
