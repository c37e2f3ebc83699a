"""What a person chose in the app, such as its theme: one file in the workspace, written whole."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from gemmalocal.errors import GemmalocalError
from gemmalocal.files import atomic, paths, safe_read


def file() -> Path:
    """Where they are kept."""
    return paths.workspace() / "settings.json"


def read() -> dict[str, Any]:
    """All of them; none where the file is damaged or not there."""
    with suppress(GemmalocalError):
        return safe_read.json_object(file())
    return {}


def text(name: str, default: str = "") -> str:
    """One that is a text."""
    value = read().get(name)
    return value if isinstance(value, str) else default


def write(name: str, value: Any) -> None:
    """Keep one; the others, also those that we do not know, stay. Raises `OSError`."""
    settings = {**read(), name: value}
    file().parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(file(), json.dumps(settings, indent=2, ensure_ascii=False, sort_keys=True) + "\n")
