"""A run to take away: the forms, what each is for, an export under way, and the proofs of those that were made."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from gemmalocal.errors import UsageFault
from gemmalocal.files import paths, targets
from gemmalocal.files.sizes import gigabytes, size
from gemmalocal.jobs import history
from gemmalocal.jobs.processes import Job
from gemmalocal.planning import hardware, throughput
from gemmalocal.workspace import exports
from gemmalocal.workspace.exports import Contents, Export, Offer
from gemmalocal.workspace.model_names import on_hub
from tui.background import follow, run_in_background
from tui.remedies import in_app
from tui.screens.ask_line import AskLineScreen
from tui.screens.errand_screen import Errand, ErrandScreen
from tui.screens.problem import ProblemScreen
from tui.screens.run_screen import MadeOfRunScreen
from tui.style_sheets import sheets
from tui.theme import framed
from tui.widgets import proof
from tui.widgets.export_list import ExportList, standing
from tui.widgets.keys import Keys
from tui.widgets.marks import bar
from tui.widgets.title_line import TitleLine

POLL = 0.25  # seconds
HOST, PORT, PORTS = "127.0.0.1", 8080, 20  # where a server answers: the first of so many ports that is free


class RunContents(NamedTuple):
    """A run's folder as it was when looked at: whether it has a result, the bytes that exports hold, free bytes."""

    spec: dict[str, Any]
    trained: bool
    sizes: Contents | None
    free: int
    exports: list[Export]


class ExportScreen(MadeOfRunScreen):
    """Exports of the run in `folder`."""

    CSS_PATH = sheets("export")

    BINDINGS = [
        Binding("v", "serve", "Serve"),
        Binding("p", "push", "Push to the Hub"),
        Binding("o", "to_folder", "To a folder"),
        Binding("b", "over_base", "Over a GGUF of the base"),
        *MadeOfRunScreen.MAKING_KEYS,
    ]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._contents: RunContents | None = None

    def compose(self) -> ComposeResult:
        """Title, forms and exports, what is known of the one under the cursor, keys."""
        yield TitleLine()
        with Vertical(id="sides"):
            yield framed(ExportList(), "Forms")
            with framed(VerticalScroll(id="about-scroll"), "About it"):
                yield Static(id="about")
        yield Keys()

    def on_mount(self) -> None:
        """Look, for as long as we are here."""
        self.query_one(TitleLine).left = f"Export {self._folder.name}"
        self.query_one(ExportList).focus()
        run_in_background(self, self._follow)

    @property
    def ready(self) -> bool:
        """The list is there."""
        return self._contents is not None

    async def _follow(self) -> None:
        await asyncio.to_thread(exports.settle, self._folder)
        await follow(partial(contents, self._folder), self._show_contents, POLL)

    def _show_contents(self, now: RunContents | None) -> None:
        before, self._contents = self._contents, now
        if now is None or not self.is_attached:
            return
        live = {export.label for export in before.exports if export.live} if before else set()
        for export in now.exports:
            if export.label in live and not export.live:
                passed = export.trouble is None
                words = f"{export.label}: {standing(export).plain}"
                self.notify(words, severity="information" if passed else "error", markup=False)
        if before is None or before._replace(free=0) != now._replace(free=0):
            self.query_one(ExportList).show(exports.offers(now.spec), now.exports, now.sizes)
            self._draw_details()

    def _draw_details(self) -> None:
        title, listed = self.query_one(TitleLine), self.query_one(ExportList)
        if (now := self._contents) is None:
            return
        title.right = f"{Path(str(now.spec.get('model', '?'))).name} · {gigabytes(now.free, 0)} GB free"
        if (export := listed.export) is not None:
            about = of_export(export)
        elif (offer := listed.offer) is not None:
            about = of_offer(offer, now)
        else:
            about = Content("")
        self.query_one("#about", Static).update(about)
        self.refresh_bindings()

    def on_option_list_option_highlighted(self) -> None:
        """Another form or export."""
        self.query_one("#about-scroll").scroll_home(animate=False)
        self._draw_details()

    def on_option_list_option_selected(self) -> None:
        """Export in the form under the cursor."""
        if self._contents is None or (offer := self.query_one(ExportList).offer) is None:
            return
        if not self._contents.trained:
            self.notify(NOTHING.format(self._folder.name), severity="warning", markup=False)
            return
        self._start(offer.forms[0])

    def _start(self, form: exports.ExportForm, to: Path | None = None) -> None:
        run_in_background(self, partial(self._begin, form, to))

    async def _begin(self, form: exports.ExportForm, to: Path | None) -> None:
        with self.problem_shown("The run could not be exported"):
            await asyncio.to_thread(exports.start, self._folder, form, to)
            self.notify(f"{form.label} is being made. You may leave this screen or the app; it goes on.", markup=False)

    def action_to_folder(self) -> None:
        """Export in the form under the cursor into a folder elsewhere, as on another disk."""
        if (offer := self.query_one(ExportList).offer) is not None:
            form = offer.forms[0]
            place = str(Path.home() / f"{self._folder.name}-{form.label}")
            ask = AskLineScreen(f"Export {form.label} into which folder?", place, check=_new_folder, taking="Export")
            self.app.push_screen(ask, lambda to: self._start(form, _new_folder(to)) if to else None)

    def action_over_base(self) -> None:
        """Export the adapter for llama.cpp over a GGUF of the base that you name: the proof is held over it."""
        if (offer := self.query_one(ExportList).offer) is not None:
            form = offer.forms[0]
            ask = AskLineScreen(
                "Over which GGUF of the base?", placeholder="the path of a file", check=_gguf, taking="Export"
            )
            self.app.push_screen(ask, lambda file: self._start(replace(form, base=_gguf(file))) if file else None)

    @property
    def _at_hand(self) -> Export | None:
        """The export under the cursor, or that of the form under it."""
        if self._contents is None:
            return None
        listed = self.query_one(ExportList)
        label = listed.offer.forms[0].label if listed.offer else listed.export and listed.export.label
        return next((export for export in self._contents.exports if export.label == label), None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether the export at hand can be stopped, has a log, has a path; what there is to serve or push."""
        if action in ("serve", "push", "to_folder", "over_base"):
            if self._contents is None or not self._contents.trained:
                return False
            offer = self.query_one(ExportList).offer if self.is_mounted else None
            forms = {"to_folder": offer is not None, "over_base": offer is not None and offer.name == "gguf-adapter"}
            return forms.get(action, True)
        if action not in ("stop", "log", "copy"):
            return True
        export = self._at_hand if self.is_mounted else None
        if export is None:
            return False
        return {"stop": export.live, "log": export.job.is_dir(), "copy": export.proof is not None}[action]

    @property
    def _whole(self) -> str | None:
        """The export at hand, if its proof is there; a form for servers and the Hub."""
        export = self._at_hand
        return export.label if export is not None and export.proof is not None and not export.live else None

    def action_serve(self) -> None:
        """Let other programs ask the export at hand, or else the base with the run's adapter."""
        from gemmalocal.cli.serve import how_to_ask

        form = self._whole if self._whole and not self._whole.endswith("adapter") else None
        spec = {"run": str(self._folder), "form": form, "host": HOST, "port": _free_port()}
        title = f"Serve {self._folder.name}{f' as {form}' if form else ''}"
        idle = "It answers at this address, for as long as this is open. Escape ends it."
        self.app.push_screen(ErrandScreen(title, Errand("serve", spec, how_to_ask), idle))

    def action_push(self) -> None:
        """Send the export at hand, or else the adapter, to the Hub; first it is shown what would be sent."""
        ask = AskLineScreen(
            "Push to which repository of the Hub?",
            placeholder="owner/name; nothing is sent yet",
            check=on_hub,
            taking="See what would be sent",
        )
        self.app.push_screen(ask, self._push)

    def _push(self, name: str | None) -> None:
        from gemmalocal.cli.publish import file_table

        if name:
            spec = {"path": str(self._folder), "kind": "model", "name": name, "form": self._whole, "private": True}
            work = Errand("push", {**spec, "dry": True}, file_table, ("Send", {**spec, "dry": False}))
            self.app.push_screen(ErrandScreen(f"Push {self._folder.name} to {name}", work, "Enter sends it."))

    def action_stop(self) -> None:
        """Ask for an end; nothing is kept."""
        if (export := self._at_hand) is not None:
            Job(export.job).ask(do="stop")
            self.notify(f"{export.label} stops. Nothing of it is kept.", markup=False)

    def action_log(self) -> None:
        """What the job printed."""
        if (export := self._at_hand) is not None:
            self.app.push_screen(ProblemScreen.of(export.label, export.trouble, export.job))

    def action_copy(self) -> None:
        """The export's folder, to the clipboard."""
        if (export := self._at_hand) is not None:
            self.app.copy_to_clipboard(str(export.folder))
            self.notify(f"Copied: {export.folder}", markup=False)


def _new_folder(written: str) -> Path:
    return targets.checked_target(paths.expanded(written).absolute(), targets.replaceable)


def _gguf(written: str) -> str:
    file = paths.expanded(written).absolute()
    if not file.is_file():
        raise UsageFault(f"There is no file {file}.", "Write the path of a GGUF file.")
    return str(file)


def _free_port() -> int:
    """The first that nobody listens at; the first of all if somebody does at each."""
    for port in range(PORT, PORT + PORTS):
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port
    return PORT


NOTHING = "{} has nothing to export yet. Let it finish, or stop it: a stop saves what it has learned."


def contents(folder: Path) -> RunContents | None:
    """What there is to export, and what was exported; reads files. None of a run that is being deleted."""
    try:
        spec = history.known_spec(folder)
        trained = history.result(folder).is_dir()
        sizes = exports.contents(folder, spec) if trained else None
        return RunContents(spec, trained, sizes, hardware.room(folder)[1], exports.of_run(folder))
    except OSError:
        return None


def of_offer(offer: Offer, run: RunContents) -> Content:
    """What a form is for, where it goes, how large it will be, and what there is of it already."""
    form = offer.forms[0]
    parts: list[Any] = [(form.label, "bold"), f"\n{offer.words}\n"]
    if run.sizes:
        needed = exports.size(form, run.sizes)
        parts += [f"About {size(needed)}, in the run's folder exports/{form.label}.\n"]
    if not run.trained:
        parts += ["\n", (NOTHING.format("This run"), "$text-warning")]
        return Content.assemble(*parts)
    export = next((export for export in run.exports if export.label == form.label), None)
    if export is None:
        parts.append("\nOnce it is written, it is loaded again and tested: it must keep what the run has learned.")
    elif export.live:
        parts += ["\n", of_export(export)]
    else:
        parts += ["\nEnter makes it again.\n\n", of_export(export)]
    return Content.assemble(*parts)


def of_export(export: Export) -> Content:
    """An export under way, or its proof, or why there is none."""
    parts: list[Any] = []
    if export.live:
        progress = export.state.progress
        parts += [(export.state.stage or "starting", "bold"), "\n"]
        if progress:
            left = f"  {throughput.duration(progress.left)} left" if progress.left else ""
            parts.append(f"{bar(progress.done / max(1, progress.total), 24)} {progress.what}{left}\n")
        parts += [(f"{in_app(notice)}\n", "$muted") for notice in export.state.notices[-1:]]
        return Content.assemble(*parts)
    if export.trouble is not None:
        parts += [(export.trouble.message, "bold $bad"), f" {in_app(export.trouble.hint)}\n\n"]
    elif export.state.status == "stopped":
        parts.append("It was stopped. Nothing of that attempt was kept.\n\n")
    elif export.proof is None:
        parts.append(f"It is no longer there: {export.place}")
    if export.proof is not None:
        parts += [proof.table(export.proof), "\n", (export.place, "$muted")]
    return Content.assemble(*parts)
