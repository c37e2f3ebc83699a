"""Labels are dimmer than values and both can be read, in every theme; states are told by more than their colour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.color import Color
from textual.screen import Screen
from textual.widgets import Input

from tests.tui.recorded import RUNS, exported, prepared, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.dataset import DatasetScreen
from tui.screens.export import ExportScreen
from tui.screens.pick import PickScreen
from tui.screens.preparing import PreparingScreen
from tui.screens.problem import ProblemScreen
from tui.screens.recipes import recipes
from tui.screens.train import TrainScreen
from tui.theme import CONTRAST, DARK, LIGHT, PLAIN_GREY, STATES, contrast, cursor_keeps_colors, framed, told
from tui.widgets.export_list import ExportList

MUTED = (0.4, 0.8)  # how far from its background, as a share of what plain text is
OURS = {"train": "held-out loss", "export": "sample answers", "preparing": "the row has", "dataset": "evidence: six"}


def distance(app: GemmalocalApp, text: str) -> float:
    """By how much a text on the screen is brighter, or darker, than what is behind it, from 0 to 1."""
    segments = [segment for strip in app.screen._compositor.render_strips() for segment in strip]
    style = next(segment.style for segment in segments if text in segment.text)
    assert style is not None
    assert style.color is not None
    assert style.bgcolor is not None
    fore, back = (Color.from_rich_color(part) for part in (style.color, style.bgcolor))
    return abs(fore.brightness - back.brightness)


def plain(app: GemmalocalApp) -> float:
    """The same for text that is not muted."""
    fore, back = (Color.parse(app.theme_variables[name]) for name in ("foreground", "background"))
    return abs(fore.brightness - back.brightness)


def drawn(app: GemmalocalApp, text: str) -> Callable[[], bool]:
    """Whether a text is on the screen, in one segment."""
    return lambda: any(text in segment.text for strip in app.screen._compositor.render_strips() for segment in strip)


@pytest.mark.parametrize("theme", [DARK.name, LIGHT.name, "nord", "textual-light"])
async def test_muted_text_is_drawn_muted(theme: str) -> None:
    run = record("quotes", RUNS["finished"])
    (run / "adapter").mkdir()
    exported(run, "adapter")
    bee = {"text": "legs", "source": "/papers/bees.md", "evidence": "six"}
    folder = prepared("docs", "/no/model", [bee])
    screens: dict[str, Screen[Any]] = {
        "train": TrainScreen(run),
        "export": ExportScreen(run),
        "preparing": PreparingScreen(folder),
        "dataset": DatasetScreen(str(folder)),
    }
    least, most = MUTED
    app = GemmalocalApp()
    async with app.run_test(size=(100, 40)) as pilot:
        app.theme = theme
        distances: dict[str, float] = {}
        for name, screen in screens.items():
            await app.push_screen(screen)
            if name == "dataset":  # it first says that the model is not there
                await until(pilot, lambda: isinstance(app.screen, ProblemScreen))
                await pilot.press("escape")
            if name == "export":
                await until(pilot, lambda: app.screen.query_one(ExportList).option_count)
            await until(pilot, drawn(app, OURS[name]))
            distances[OURS[name]] = distance(app, OURS[name])
            await app.pop_screen()
        await until(pilot, drawn(app, "Models"))
        distances["Models"] = distance(app, "Models")
        assert {text: far for text, far in distances.items() if not least < far / plain(app) < most} == {}


async def test_the_terminals_own_colours_are_left_to_it() -> None:
    app = GemmalocalApp()
    async with app.run_test() as pilot:
        app.theme = "ansi-dark"
        await pilot.pause()
        app.push_screen(PickScreen("Which?", recipes))
        await until(pilot, lambda: app.screen.query("#offers"))
        assert app.theme_variables["text-muted"].startswith("ansi_default")


INKS = ("foreground", "muted", "primary", "secondary", "accent", "good", "warning", "bad")
BELOW = ("background", "surface", "panel")
READ, SEEN = 4.5, 3.0  # WCAG's least contrast of a text, and of a large or bold one


async def test_every_theme_can_be_read() -> None:
    app = GemmalocalApp()
    async with app.run_test():
        unread: dict[str, list[str]] = {}
        for name, theme in app.available_themes.items():
            if theme.ansi:
                continue
            app.theme = name
            colors = {role: Color.parse(color) for role, color in app.theme_variables.items() if role in BELOW + INKS}
            grounds = [colors[ground] for ground in BELOW]
            unread[name] = [ink for ink in INKS if min(contrast(colors[ink], ground) for ground in grounds) < READ]
            dimmer = all(
                contrast(colors["muted"], ground) < contrast(colors["foreground"], ground) for ground in grounds
            )
            unread[name] += [] if dimmer else ["a label is as bright as its value"]
            cursor = (Color.parse(app.theme_variables[f"block-cursor-{part}"]) for part in ("foreground", "background"))
            unread[name] += [] if contrast(*cursor) > READ else ["the cursor"]
            under = Color.parse(app.theme_variables["block-cursor-background"])
            states = min(contrast(colors[ink], under) for ink in INKS[2:])
            unread[name] += ["a state"] if cursor_keeps_colors(app.theme_variables) and states < SEEN else []
        assert len(unread) > 20
        assert {name: inks for name, inks in unread.items() if inks} == {}


async def test_states_keep_their_colours_under_the_cursor_where_these_can_be_read() -> None:
    record("quotes", RUNS["failed"])
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        for theme, keeps in ((DARK, True), (LIGHT, True), (CONTRAST, False), (PLAIN_GREY, False)):
            app.theme = theme.name
            await until(pilot, drawn(app, "failed"))
            await pilot.pause()
            assert cursor_keeps_colors(app.theme_variables) is keeps
            segments = (segment for strip in app.screen._compositor.render_strips() for segment in strip)
            style = next(segment.style for segment in segments if "failed" in segment.text)
            assert style is not None
            assert style.color is not None
            assert style.bgcolor is not None
            assert contrast(Color.from_rich_color(style.color), Color.from_rich_color(style.bgcolor)) > SEEN


def test_a_state_is_told_by_sign_and_word_and_colour() -> None:
    assert told("live", "62/100").plain == "● running 62/100"
    assert all(state.sign and state.word and state.style for state in STATES.values())
    assert len({state.word for state in STATES.values()}) == len(STATES)
    assert told("never heard of").plain == "· never heard of"


async def test_a_panel_has_a_title_that_is_no_markup_and_a_ring() -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(60, 30)) as pilot:
        await app.screen.mount(panel := framed(Input(), "[red]my/papers[/]", "3 of 4"))
        await until(pilot, drawn(app, "[red]my/papers[/]"))
        quiet = panel.styles.border_top
        panel.focus()
        await until(pilot, lambda: panel.styles.border_top != quiet)
        assert panel.styles.border_top == ("round", Color.parse(app.theme_variables["ring"]))


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "vt100")])
async def test_without_colours_nothing_is_coloured_and_the_cursor_is_seen(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    for run in ("first", "second"):
        record(run, RUNS["finished"])
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, drawn(app, "first"))
        await pilot.pause()
        filters = app.get_line_filters()
        ground = Color.parse(app.theme_variables["background"])
        lines = [list(strip) for strip in app.screen._compositor.render_strips()]
        for line_filter in filters:
            lines = [line_filter.apply(line, ground) for line in lines]
        segments = [segment for line in lines for segment in line if segment.style is not None]
        colours = {colour for _, style, _ in segments if style for colour in (style.color, style.bgcolor) if colour}
        assert {colour.name for colour in colours} <= {"default"}
        marked = [any(style and style.reverse for text, style, _ in line) for line in lines]
        assert sum(marked) == 1
