"""The only place where rooms meet. Each file is `run(spec, directory, commands) -> Iterator[Event]`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Commands = Callable[[], list[dict[str, Any]]]  # what watchers asked since the last look
