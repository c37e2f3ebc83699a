"""login, logout and whoami. A token comes through a pipe and is not written down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gemmalocal.jobs.events import Event, Finished, Notice, Progress, Report, Stage
from gemmalocal.jobs.processes import SECRET
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.background import Stopped, in_background
from gemmalocal.weights import account


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """`spec`: do (login, browser, logout, whoami), and for a login the descriptor of a pipe with the token in it."""
    match spec["do"]:
        case "logout":
            if remaining := account.logout():
                yield Notice(remaining)
            yield Finished("done")
            return
        case "browser":
            yield Stage("asking the Hub for a code")
            try:
                yield from _by_browser(commands)
            except Stopped:
                yield Finished("stopped", "nothing was kept")
                return
        case "login":
            account.login(_token(spec).strip())
    owner = account.whoami()
    yield Report(asdict(owner))
    yield Finished("done")


def _token(spec: dict[str, Any]) -> str:
    """What was handed over, which can be read once; empty if nothing was."""
    if SECRET not in spec:
        return ""
    with open(spec[SECRET], encoding="utf-8", errors="replace") as pipe:
        return pipe.read()


def _by_browser(commands: Commands) -> Iterator[Event]:
    """What the Hub's login says, as notices: its progress is lines, not numbers."""
    for event in in_background(lambda tell: account.login_by_browser(lambda line: tell(line, 0, 1)), commands):
        yield Notice(event.what) if isinstance(event, Progress) else event
