"""What the pictures share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.drawn import Stage, same
from tests.tui.recorded import record
from tui import app


@pytest.fixture(autouse=True)
def many_apps(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app is alone in its process, and what it has is never garbage; here one comes after the other."""
    monkeypatch.setattr(app, "_collect_seldom", lambda: None)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stage]:
    """The same for all, and children that let go at the end."""
    stage = Stage()

    def told() -> Path:
        folder = record("../chats/chat", stage.chat)
        return stage.live(folder) if stage.chat_lives else folder

    same(monkeypatch, tmp_path, told)
    yield stage
    stage.end()
