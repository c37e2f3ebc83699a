"""A run shown in a tracker: which one, and the job that tells it."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from textual.content import Content

from gemmalocal.errors import BackendUnavailable, GemmalocalError, going_on
from gemmalocal.jobs.events import Failed, Report
from gemmalocal.workspace import trackings
from tui.background import run_in_background
from tui.errand import events_of
from tui.remedies import in_app
from tui.screens.pick import Offers, PickScreen
from tui.screens.run_screen import AppScreen


def ask_tracker(screen: AppScreen, run: Path) -> None:
    """Ask which tracker is to be told of a run, and tell it; what it leaves is said as a toast, with how to look."""

    def chosen(name: str | None) -> None:
        if name is not None:
            run_in_background(screen, partial(_tell, screen, run, name))

    screen.app.push_screen(PickScreen(f"Show {run.name} in which tracker?", _offers), chosen)


def _offers() -> Offers:
    """All trackers, each with what it needs where that is not installed."""
    offers = []
    for name in trackings.NAMES:
        words = Content(name)
        try:
            trackings.check(name)
        except BackendUnavailable as error:
            words = Content.assemble(name, (f"  not installed: {going_on(in_app(error.hint))}", "$muted"))
        offers.append((words, name))
    return offers


async def _tell(screen: AppScreen, run: Path, name: str) -> None:
    with screen.problem_shown(f"{name} could not be told"):
        job = await asyncio.to_thread(trackings.start, run, name)
        screen.notify(f"{name} is told of {run.name}.", markup=False)
        async for event in events_of(job):
            match event:
                case Report():
                    screen.notify(f"{event.data['items']:,} new in {name}. To look: {event.data['look']}", markup=False)
                case Failed():
                    screen.show_problem(f"{name} could not be told", GemmalocalError(event.message, event.hint))
