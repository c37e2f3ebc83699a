"""The export screen by keys: a real export and its proof, found again by another app; failures; what is live."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from textual.widgets import Input, Static

from gemmalocal.errors import JobBusy
from gemmalocal.files import paths
from gemmalocal.jobs.event_lines import encode
from gemmalocal.jobs.events import Finished
from gemmalocal.workspace import exports, runs
from tests.here import run
from tests.tui.recorded import RUNS, exported, exporting, hold, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.errand_screen import ErrandScreen
from tui.screens.export import HOST, PORT, PORTS, ExportScreen, _free_port
from tui.screens.problem import ProblemScreen
from tui.widgets.export_list import ExportList
from tui.widgets.run_table import RunTable


def about(app: GemmalocalApp) -> str:
    return str(app.screen.query_one("#about", Static).content)


async def test_export_by_keys_and_find_it_again(recipe_path: Path) -> None:
    words = ["train", str(recipe_path), "--name", "tiny", "--set", "samples.prompts=[]"]
    assert run(*words).returncode == 0
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.query_one(RunTable).row_count)
        await pilot.press("e")
        listed = app.screen.query_one(ExportList)
        await until(pilot, lambda: listed.option_count == len(exports.OFFERS))
        await pilot.press("down", "down", "down", "right", "right")
        assert "merged-float32" in about(app)
        await pilot.press("enter")
        await until(pilot, lambda: exports.of_run(paths.runs() / "tiny"))
    app = GemmalocalApp()  # the app was left while it was being made
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(ExportScreen(paths.runs() / "tiny"))
        listed = app.screen.query_one(ExportList)
        await until(pilot, lambda: listed.option_count)
        assert listed.option_count == len(exports.OFFERS)  # each export once: with its form
        await pilot.press("down", "down", "down")
        await until(pilot, lambda: "held-out loss" in about(app))
        (made,) = exports.of_run(paths.runs() / "tiny")
        assert made.proof is not None
        assert made.label == "merged-float32"
        shown = about(app)
        assert f"export {made.proof['exported']:.4f}" in shown
        assert made.proof["reader"] in shown
        await pilot.press("left")  # another variant of it: then this one has a line of its own
        await until(pilot, lambda: listed.option_count == len(exports.OFFERS) + 2)
        await pilot.press("end")
        await until(pilot, lambda: listed.export is not None)
        await pilot.press("y")
        assert app.clipboard == str(paths.runs() / "tiny" / "exports" / "merged-float32")


async def test_what_failed_says_so_with_its_remedy() -> None:
    run = record("quotes", RUNS["finished"])
    (run / "adapter").mkdir()
    exported(run, "gguf-Q4_0", passed=False)
    exported(run, "adapter")
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(ExportScreen(run))
        listed = app.screen.query_one(ExportList)
        await until(pilot, lambda: listed.option_count == len(exports.OFFERS))
        await pilot.press("end", "up")
        await until(pilot, lambda: "FAILED" in about(app))
        assert "Take a type with more bits" in about(app)
        assert "1 of 2 are the same" in about(app)
        await pilot.press("g")
        assert isinstance(app.screen, ProblemScreen)


async def test_a_live_export_is_found_stopped_and_protects_its_run() -> None:
    run = record("quotes", RUNS["finished"])
    (run / "adapter").mkdir()
    job = exporting(run, "gguf-Q8_0")
    child = hold(job)
    with pytest.raises(JobBusy, match="exported as gguf-Q8_0 already"):
        exports.start(run, exports.ExportForm("gguf"))
    with pytest.raises(JobBusy, match="is being exported"):
        runs.delete(run)
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(ExportScreen(run))
        listed = app.screen.query_one(ExportList)
        await until(pilot, lambda: listed.option_count)
        await pilot.press("end", "up")
        await until(pilot, lambda: "writing gguf-Q8_0" in about(app))
        assert "packing" in about(app)
        await pilot.press("s")
        assert '"stop"' in (job / "inbox.jsonl").read_text()
        with (job / "events.jsonl").open("a") as file:
            file.write(encode(Finished("stopped"), 2e9) + "\n")
        child.communicate("\n")
        await until(pilot, lambda: "It was stopped" in about(app))
        runs.delete(run)
        await until(pilot, lambda: not isinstance(app.screen, ExportScreen))


async def test_a_run_that_has_made_nothing_exports_nothing() -> None:
    run = record("young", RUNS["killed"])
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(ExportScreen(run))
        await until(pilot, lambda: "has nothing to export yet" in about(app))
        await pilot.press("enter")
        assert not (run / exports.JOBS).exists()


def test_a_full_fine_tune_is_offered_no_adapter() -> None:
    assert "adapter" not in [offer.name for offer in exports.offers({"method": "full"})]
    assert exports.offers({"method": "lora"})[0].name == "adapter"


def test_the_hall_offers_what_the_room_packs() -> None:
    from gemmalocal.export import gguf_types
    from gemmalocal.export.forms import DTYPES

    assert set(exports.TYPES) == set(gguf_types.FORMS)
    assert set(exports.DTYPES) == set(DTYPES)


async def test_what_would_be_pushed_is_shown_before_anything_is_sent() -> None:
    run = record("quotes", RUNS["finished"])
    (run / "adapter").mkdir()
    exported(run, "adapter")
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await app.push_screen(ExportScreen(run))
        listed = app.screen.query_one(ExportList)
        await until(pilot, lambda: listed.option_count)
        await pilot.press("p")
        await pilot.press(*"me/quotes", "enter")
        await until(pilot, lambda: isinstance(app.screen, ErrandScreen) and app.screen._over)
        screen = app.screen
        assert isinstance(screen, ErrandScreen)
        said = f"{screen._doing} {' '.join(screen._lines)}"
        assert "They would go to the model me/quotes, private" in said or "proof" in said
        assert screen._work.spec["dry"]
        await pilot.press("escape")
        assert isinstance(app.screen, ExportScreen)


async def test_a_server_lives_as_long_as_its_screen_and_says_why_it_cannot() -> None:
    run = record("quotes", RUNS["finished"])
    (run / "adapter").mkdir()
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await app.push_screen(ExportScreen(run))
        await until(pilot, lambda: app.screen.query_one(ExportList).option_count)
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, ErrandScreen) and app.screen._over)
        assert isinstance(app.screen, ErrandScreen)
        assert app.screen._doing not in ("", "starting")  # the recorded run has no weights: it says so
        await pilot.press("escape")
        await until(pilot, lambda: not [*paths.errands().glob("serve-*")])


async def test_an_export_goes_to_a_folder_that_is_named_and_over_a_base_that_is_named(tmp_path: Path) -> None:
    run = record("quotes", RUNS["finished"])
    (run / "adapter").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await app.push_screen(screen := ExportScreen(run))
        listed = app.screen.query_one(ExportList)
        await until(pilot, lambda: listed.option_count)
        assert not screen.check_action("over_base", ())  # the cursor is on the adapter
        await pilot.press("o")
        line = app.screen.query_one(Input)
        line.value = str(tmp_path / "full")
        await pilot.press("enter")
        assert "holds other files: letter.txt" in str(app.screen.query_one("#warning", Static).content)
        line.value = str(tmp_path / "other")
        await pilot.press("enter")
        job = run / exports.JOBS / "adapter" / "job.json"
        await until(pilot, job.is_file)
        assert json.loads(job.read_text())["spec"]["to"] == str(tmp_path / "other")
        await pilot.press("down", "down")
        await until(pilot, lambda: screen.check_action("over_base", ()))
        await pilot.press("b")
        line = app.screen.query_one(Input)
        line.value = str(tmp_path / "base.gguf")
        await pilot.press("enter")
        assert "There is no file" in str(app.screen.query_one("#warning", Static).content)
        (tmp_path / "base.gguf").write_bytes(b"GGUF")
        await pilot.press("enter")
        job = run / exports.JOBS / "gguf-adapter" / "job.json"
        await until(pilot, job.is_file)
        assert json.loads(job.read_text())["spec"]["base"] == str(tmp_path / "base.gguf")
        await until(pilot, lambda: not any(export.live for export in exports.of_run(run)))


def test_a_server_takes_the_first_port_that_is_free() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # somebody else's: all the same
            taken.bind((HOST, PORT))
            taken.listen()
        assert PORT < _free_port() < PORT + PORTS
