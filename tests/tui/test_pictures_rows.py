"""What the screens about documents and rows look like, small and large, in each state."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DirectoryTree, Input, OptionList, Static

from gemmalocal.jobs.events import Counted, Event, Failed, Finished, Progress, Read, Report, Started
from gemmalocal.jobs.events import Stage as Now
from gemmalocal.records import TRAIN_FILE
from gemmalocal.workspace import datasets
from gemmalocal.workspace.dataset_rows import DatasetRow
from tests.tui.drawn import Arrive, Stage, check
from tests.tui.recorded import preparation, prepared
from tests.tui.test_app import until
from tests.workspace.test_ratings import judged, rate_all
from tui.screens.browse import BrowseScreen
from tui.screens.dataset import DatasetScreen
from tui.screens.documents import DocumentsScreen
from tui.screens.preparing import PreparingScreen
from tui.screens.problem import ProblemScreen
from tui.screens.review import ReviewScreen
from tui.widgets.field_form import FieldForm
from tui.widgets.sources import Sources

SOURCES = ["/papers/handbook.pdf", "/papers/minutes of the meetings/*.docx", "https://example.org/a/page"]
DOCUMENTS = [
    Read("/papers/handbook.pdf", 212),
    Read("/papers/minutes of the meetings/2024-03-a-meeting-with-a-long-name.docx", 14, "", ["Its tables are flat."]),
    Read("/papers/scan.pdf", 0, "/papers/scan.pdf has no text: its pages are pictures. Run OCR over it first."),
    Read("/papers/secret.pdf", 0, "/papers/secret.pdf is encrypted. Set GEMMALOCAL_PASSWORD to its password."),
    Read("https://example.org/a/page", 3),
]
REASONS = {"has no evidence in its passage": 41, "is a near copy of another": 12, "is longer than a row may be": 2}
COUNTS = {"rows": 160, "tokens": 48_211, "documents": 3}
REPORT = {"author": "gemma-3-4b-it", "train": COUNTS, "held_out": {**COUNTS, "rows": 18}, "rejected": REASONS}
STATES: dict[str, list[Event]] = {
    "reading": [Progress("documents", 3, 5)],
    "asking": [*DOCUMENTS[3:], Now("asking gemma-3-4b-it"), Counted(61, REASONS), Progress("passages", 88, 229, 754.0)],
    "finished": [*DOCUMENTS[3:], Report(REPORT), Finished("done", "160 rows in train.jsonl, 18 in held_out.jsonl")],
    "failed": [
        *DOCUMENTS[3:],
        Counted(61, REASONS),
        Failed("DatasetError", "http://localhost:8080 gives no answer.", "Is it running? Then resume.", 1),
    ],
    "killed": [*DOCUMENTS[3:], Now("asking gemma-3-4b-it"), Counted(61, REASONS), Progress("passages", 88, 229, 754.0)],
}


def row(asked: str, answer: str, source: str, **more: object) -> DatasetRow:
    """A row as a preparation writes it."""
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return {"messages": turns, "source": f"/papers/{source}", **more}


NOTICE, QUARTER = "how long is the notice period?", "three months, to the end of a quarter."
ROWS = [
    row(NOTICE, QUARTER, "handbook.pdf", page=12, heading="Leaving", evidence="three months", by="rules"),
    row("what is a bee?", "a bee is no wasp.\nit has hair.", "bees.md", score=4),
    row("and the queen?", "she lays them all, and is fed by others for as long as she lives. " * 7, "bees.md"),
    row(NOTICE, QUARTER, "old handbook.pdf", page=3),
]
HELD_OUT = [row("who feeds her?", "the others.", "bees.md")]


def documents(*words: str, sources: list[str] = SOURCES) -> Arrive:
    """Look at the form, and press keys."""

    async def arrive(pilot: Pilot[None]) -> None:
        await pilot.app.push_screen(DocumentsScreen("handbook", {"sources": sources} if sources else None))
        await until(pilot, lambda: bool(sources) == bool(pilot.app.screen.query_one(Sources).chosen))
        await pilot.press(*words)

    return arrive


async def test_documents_are_chosen(stage: Stage) -> None:
    async def wrong(pilot: Pilot[None]) -> None:
        await documents()(pilot)
        form = pilot.app.screen.query_one(FieldForm)
        url = next(one for one in form.query(Input) if "endpoint.url" in str(getattr(one, "HELP", "")))
        url.value = "localhost:1234"
        url.focus()
        await until(pilot, lambda: pilot.app.screen.query(".problem"))

    async def earlier(pilot: Pilot[None]) -> None:
        await documents("ctrl+l")(pilot)
        await until(pilot, lambda: pilot.app.screen.query_one(OptionList).option_count)

    await check("documents-empty", documents(sources=[]))
    await check("documents", documents("shift+tab"))
    await check("documents-wrong", wrong)
    await check("documents-earlier-none", earlier)
    prepared("docs")
    preparation("handbook", [Started("prepare", 1, 1), Now("reading the documents"), *DOCUMENTS[:3]], "gemma-3-4b-it")
    await check("documents-earlier", earlier)


async def test_documents_are_marked_in_a_tree(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    for name in ("bees.md", "handbook.pdf", "light.md"):
        (tmp_path / "papers" / name).write_text("text")

    async def browse(pilot: Pilot[None]) -> None:
        await pilot.app.push_screen(BrowseScreen(tmp_path / "papers"))
        tree = pilot.app.screen.query_one(DirectoryTree)
        await until(pilot, lambda: len(tree.root.children) == 3)
        await pilot.press("down", "space", "down")

    await check("browse", browse)


@pytest.mark.parametrize("state", STATES)
async def test_documents_are_read(state: str, stage: Stage) -> None:
    begun: list[Event] = [Started("prepare", 1, 1), Now("reading the documents"), *DOCUMENTS[:3]]
    folder = preparation("handbook", [*begun, *STATES[state]], "gemma-3-4b-it")
    if state in ("reading", "asking"):
        stage.live(folder)

    async def arrive(pilot: Pilot[None]) -> None:
        screen = PreparingScreen(folder)
        await pilot.app.push_screen(screen)
        await until(pilot, lambda: screen.run)
        await pilot.press("down", "down")

    await check(f"preparing-{state}", arrive)


async def test_rows_are_offered(stage: Stage) -> None:
    async def offered(pilot: Pilot[None]) -> None:
        await pilot.press("t")
        await until(pilot, lambda: pilot.app.screen.query_one(OptionList).option_count)

    prepared("docs")
    await check("rows-offered", offered)


def dataset(folder: Path, *words: str) -> Arrive:
    """Look at rows as they are trained, and press keys."""

    async def arrive(pilot: Pilot[None]) -> None:
        screen = DatasetScreen(str(folder))
        await pilot.app.push_screen(screen)
        await until(pilot, lambda: screen._rows.pages or isinstance(pilot.app.screen, ProblemScreen))
        for word in words:
            await pilot.press(word)
            await until(pilot, lambda: not screen._busy)

    return arrive


async def test_dataset(stage: Stage, tiny: Path) -> None:
    folder = prepared("handbook", str(tiny), ROWS, HELD_OUT)
    await check("dataset", dataset(folder))
    await check("dataset-numbers", dataset(folder, "h"))
    await check("dataset-go", dataset(folder, "g"))
    await check("dataset-edit", dataset(folder, "e"))
    datasets.edit(folder, TRAIN_FILE, ROWS[0], "three months.")
    await check("dataset-edited", dataset(folder))
    datasets.drop(folder, TRAIN_FILE, ROWS[1])
    await check("dataset-dropped", dataset(folder, "s", "s"))


async def test_dataset_with_rows_that_are_left_out(stage: Stage, tiny: Path) -> None:
    lines: list[DatasetRow] = [*ROWS, {"text": "no chat"}, {"messages": []}]
    await check("dataset-problems", dataset(prepared("mixed", str(tiny), lines, HELD_OUT), "l"))


async def test_dataset_without_rows_or_without_its_model(stage: Stage) -> None:
    await check("dataset-empty", dataset(prepared("nothing", "/no/model", [], []), "escape"))
    folder = prepared("handbook", "/no/model", ROWS, HELD_OUT)
    await check("dataset-failed", dataset(folder))
    await check("dataset-as-written", dataset(folder, "escape"))


async def test_rows_are_rated(stage: Stage) -> None:
    folder = judged("handbook")

    async def review(pilot: Pilot[None]) -> None:
        await pilot.app.push_screen(screen := ReviewScreen(folder))
        await until(pilot, lambda: screen._state is not None)

    async def rated(pilot: Pilot[None]) -> None:
        await review(pilot)
        await until(pilot, lambda: "rated good" in str(pilot.app.screen.query_one("#standing", Static).content))

    await check("review", review)
    rate_all(folder, good=9)
    await check("review-rated", rated)
