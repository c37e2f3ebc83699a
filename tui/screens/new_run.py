"""Begin: which recipe? Shipped ones, recipes in the current folder, and those of past runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from gemmalocal import history
from tui.beside import beside

FIRST = "quotes"
SENTENCES = 2  # of a recipe's first comment
PAST = 5  # newest runs whose recipes are offered


class NewRunScreen(ModalScreen[Path | None]):
    """Gives the recipe's file."""

    BINDINGS = [Binding("escape", "dismiss(None)", "Back")]

    def compose(self) -> ComposeResult:
        """The list, filled when it was read."""
        with Vertical(classes="dialog large"):
            yield Static("New run: by which recipe?", classes="dialog-title")
            yield OptionList(id="recipes")
            yield Footer(compact=True)

    def on_mount(self) -> None:
        """Read the recipes' first lines."""
        beside(self, self._fill())

    async def _fill(self) -> None:
        recipes = await asyncio.to_thread(_recipes)
        options = self.query_one("#recipes", OptionList)
        width = max(len(name) for name, _, _ in recipes) + 2
        for name, words, path in recipes:
            options.add_option(Option(Content.assemble((name.ljust(width), "bold"), words), id=str(path)))
        options.highlighted = next((n for n, (name, _, _) in enumerate(recipes) if name == FIRST), 0)
        options.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """That one."""
        self.dismiss(Path(str(event.option.id)))


def _recipes() -> list[tuple[str, str, Path]]:
    """Name, what it says of itself, file."""
    from gemmalocal import recipe_file  # pydantic: not at the app's start

    shipped = [(name, _words(path), path) for name, path in recipe_file.builtin_recipes().items()]
    here = [
        (path.name, _words(path) or "in this folder", path.resolve())
        for path in sorted(Path.cwd().glob("*.y*ml"))
        if "\nmodel:" in "\n" + path.read_text(encoding="utf-8", errors="replace")
    ]
    past = [
        (folder.name, "the recipe of this run", folder / "recipe.yaml")
        for folder in history.list_runs()[:PAST]
        if (folder / "recipe.yaml").is_file()
    ]
    return sorted(shipped, key=lambda one: one[0] != FIRST) + here + past


def _words(path: Path) -> str:
    """A recipe's first comment: for whom, and how long."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    comment = []
    for line in lines:
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# "))
    return ". ".join(" ".join(comment).split(". ")[:SENTENCES])
