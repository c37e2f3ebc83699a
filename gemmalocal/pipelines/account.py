"""login, logout and whoami. A token comes in the environment and is not written down."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gemmalocal.jobs.events import Event, Finished, Notice, Progress, Report, Stage
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.background import Stopped, in_background
from gemmalocal.weights import account


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """`spec`: do (login, logout, whoami), and for a login the variable that holds the token; None: by the browser."""
    match spec["do"]:
        case "logout":
            if remaining := account.logout():
                yield Notice(remaining)
            yield Finished("done")
            return
        case "login" if spec["variable"] is None:
            yield Stage("asking the Hub for a code")
            try:
                yield from _by_browser(commands)
            except Stopped:
                yield Finished("stopped", "nothing was kept")
                return
        case "login":
            account.login(os.environ.pop(spec["variable"], "").strip())
    owner = account.whoami()
    yield Report(asdict(owner))
    yield Finished("done")


def _by_browser(commands: Commands) -> Iterator[Event]:
    """What the Hub's login says, as notices: its progress is lines, not numbers."""
    for event in in_background(lambda tell: account.login_by_browser(lambda line: tell(line, 0, 1)), commands):
        yield Notice(event.what) if isinstance(event, Progress) else event
