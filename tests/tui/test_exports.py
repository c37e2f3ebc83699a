"""The export screen by keys: a real export and its proof, found again by another app; failures; what is live."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Static

from gemmalocal.errors import JobBusy
from gemmalocal.files import paths
from gemmalocal.jobs.events import Finished, encode
from gemmalocal.workspace import exports, runs
from tests.here import run
from tests.tui.recorded import RUNS, exported, exporting, hold, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.export import ExportScreen
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
        await pilot.press("down", "down", "right", "right")
        assert "merged-float32" in about(app)
        await pilot.press("enter")
        await until(pilot, lambda: listed.option_count > len(exports.OFFERS) + 1)
    app = GemmalocalApp()  # the app was left while it was being made
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(ExportScreen(paths.runs() / "tiny"))
        listed = app.screen.query_one(ExportList)
        await until(pilot, lambda: listed.option_count > len(exports.OFFERS) + 1)
        await pilot.press("end")
        await until(pilot, lambda: "held-out loss" in about(app))
        assert listed.export is not None
        assert listed.export.proof is not None
        assert listed.export.label == "merged-float32"
        shown = about(app)
        assert f"export {listed.export.proof['exported']:.4f}" in shown
        assert listed.export.proof["reader"] in shown
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
        await until(pilot, lambda: listed.option_count == len(exports.OFFERS) + 3)
        await pilot.press("end", "up")
        await until(pilot, lambda: listed.export is not None)
        while "FAILED" not in about(app):
            await pilot.press("down")
        assert "Take a --type with more bits" in about(app)
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
        await until(pilot, lambda: listed.option_count == len(exports.OFFERS) + 2)
        await pilot.press("end")
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
