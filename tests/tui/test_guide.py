"""The guide names the keys of each screen, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

from tui.screens.browse import BrowseScreen
from tui.screens.compare import CompareScreen
from tui.screens.dataset import DatasetScreen
from tui.screens.documents import DocumentsScreen
from tui.screens.export import ExportScreen
from tui.screens.home import HomeScreen
from tui.screens.models import ModelsScreen
from tui.screens.preparing import PreparingScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.review import ReviewScreen
from tui.screens.train import TrainScreen
from tui.screens.verdict import VerdictScreen
from tui.widgets.question import Question
from tui.widgets.run_table import RunTable

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"
SCREENS: dict[str, tuple[type[DOMNode], ...]] = {
    "Home": (HomeScreen, RunTable),
    "Models": (ModelsScreen,),
    "A recipe": (RecipeScreen,),
    "A run": (TrainScreen,),
    "Documents": (DocumentsScreen, BrowseScreen),
    "A preparation": (PreparingScreen,),
    "Rows": (DatasetScreen, ReviewScreen),
    "Compare": (CompareScreen, Question),
    "Verdict": (VerdictScreen,),
    "Export": (ExportScreen,),
}
NEVER = {"A preparation": "resume_smaller"}  # `check_action` never allows it there
WORDS = {
    "escape": "escape",
    "tab": "tab",
    "pagedown": "page down",
    "pageup": "page up",
    "backspace": "backspace",
    "slash": "`/`",
    "space": "space",
    "shift+tab": "shift-tab",
}


def bindings(screen: type[DOMNode]) -> Iterator[Binding]:
    """Those of a screen and of our classes that it comes from."""
    for owner in screen.__mro__:
        if owner.__module__.startswith("tui."):
            yield from (each for each in owner.__dict__.get("BINDINGS", []) if isinstance(each, Binding))


def written(key: str) -> str:
    """A key as the guide writes it."""
    if key.startswith("ctrl+"):
        return f"`^{key.removeprefix('ctrl+')}`"
    return f"`{key}`" if len(key) == 1 else WORDS.get(key, key)


def keys_of(heading: str) -> str:
    """The left side of a screen's table."""
    section = GUIDE.read_text(encoding="utf-8").split(f"\n### {heading}\n")[1].split("\n#")[0]
    return "\n".join(line for line in section.splitlines() if line.startswith("|"))


@pytest.mark.parametrize("heading", SCREENS)
def test_the_guide_names_the_keys(heading: str) -> None:
    table = keys_of(heading)
    first, *others = SCREENS[heading]
    for binding in bindings(first):
        if binding.action == NEVER.get(heading):
            continue
        ways = [written(key) for key in binding.key.split(",")]
        assert any(way in table or way in table.lower() for way in ways), f"{heading}: {binding.key} is not told"
    known = {written(key) for screen in (first, *others) for each in bindings(screen) for key in each.key.split(",")}
    told = set(re.findall(r"`(?:\^?\w)`", table))
    assert told <= known
