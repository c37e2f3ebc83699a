"""Files and folders to mark in a tree."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import DirectoryTree
from textual.widgets.directory_tree import DirEntry
from textual.widgets.tree import TreeNode

from tui.screens.dialog import Dialog


class BrowseScreen(Dialog[list[str]]):
    """Gives the paths that were marked, or else the one under the cursor; nothing for Escape."""

    BINDINGS = [
        Binding("a", "add", "Add"),
        Binding("backspace", "up", "Folder above"),
        Binding("escape", "dismiss([])", "Back"),
    ]

    def __init__(self, folder: Path) -> None:
        super().__init__("Documents: mark files and folders", "large")
        self._folder = folder

    def body(self) -> ComposeResult:
        """The tree."""
        yield MarkTree(self._folder)

    def action_add(self) -> None:
        """Those that are marked."""
        self.dismiss(self.query_one(MarkTree).chosen)

    def action_up(self) -> None:
        """Show the folder that holds this one."""
        self._folder = self._folder.parent
        self.query_one(MarkTree).path = self._folder


class MarkTree(DirectoryTree):
    """A tree without hidden files, in which space marks."""

    ICON_NODE, ICON_NODE_EXPANDED, ICON_FILE = "▸ ", "▾ ", "  "  # emoji are not as wide everywhere
    BINDINGS = [Binding("space", "mark", "Mark"), Binding("enter", "select_cursor", "Open, mark")]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._marked: dict[Path, None] = {}

    @property
    def chosen(self) -> list[str]:
        """What is marked, in the order in which it was; else what is under the cursor."""
        here = self.cursor_node.data if self.cursor_node else None
        return [str(path) for path in self._marked or ([here.path] if here else [])]

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """What is not hidden."""
        return [path for path in paths if not path.name.startswith(".")]

    def render_label(self, node: TreeNode[DirEntry], base_style: Style, style: Style) -> Text:
        """The name, with its mark."""
        label = super().render_label(node, base_style, style)
        marked = node.data is not None and node.data.path in self._marked
        return Text.assemble(("✓ ", base_style + style), label) if marked else label

    def on_directory_tree_file_selected(self, event: DirectoryTree.FileSelected) -> None:
        """Enter on a file."""
        self._mark(event.node)

    def action_mark(self) -> None:
        """Space, on a file or a folder."""
        if self.cursor_node is not None:
            self._mark(self.cursor_node)

    def _mark(self, node: TreeNode[DirEntry]) -> None:
        if node.data is None:
            return
        if node.data.path in self._marked:
            del self._marked[node.data.path]
        else:
            self._marked[node.data.path] = None
        node.refresh()
