"""The app, so far: the list of runs, kept fresh. Training, comparing and exporting get their screens next."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.widgets import DataTable, Footer, Header, Static

from gemmalocal import history

REFRESH = 1.0  # seconds
COMING = (
    "Runs. The screens for datasets, recipes, training and comparing are being built: until then, gemmalocal --help."
)


class GemmalocalApp(App[None]):
    """Lists the runs of the workspace; starts no job."""

    TITLE = "gemmalocal"
    BINDINGS = [Binding("q", "quit", "Quit"), Binding("r", "refresh_runs", "Refresh")]
    CSS = "#coming { padding: 1 2; color: $text-muted; } DataTable { height: 1fr; margin: 0 1; }"

    def compose(self) -> ComposeResult:
        """Header, one sentence, the runs, the keys."""
        yield Header()
        yield Static(COMING, id="coming")
        yield DataTable(cursor_type="row")
        yield Footer()

    def on_mount(self) -> None:
        """Fill the table and keep it fresh."""
        self.query_one(DataTable).add_columns("Run", "State", "Step", "Held-out loss")
        self.action_refresh_runs()
        self.set_interval(REFRESH, self.action_refresh_runs)

    def action_refresh_runs(self) -> None:
        """Read the runs again; the row under the cursor stays."""
        table = self.query_one(DataTable)
        row = table.cursor_row
        table.clear()
        for folder in history.list_runs():
            state = history.read(folder)
            last = state.steps[-1] if state.steps else None
            step = f"{last.step}/{last.steps}" if last else "-"
            table.add_row(folder.name, state.status, step, f"{state.best.loss:.3f}" if state.best else "-")
        table.move_cursor(row=row)
