"""The only place where rooms meet. Each file is `run(spec, directory, commands) -> Iterator[Event]`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Commands = Callable[[], list[dict[str, Any]]]  # what watchers asked since the last look


def stop_asked(commands: Commands) -> bool:
    """Whether a watcher has asked for a stop since the last look."""
    return any(command.get("do") == "stop" for command in commands())
