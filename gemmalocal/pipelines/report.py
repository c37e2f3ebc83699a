"""Whether a run helped: its held-out rows, general questions and neutral texts, asked of the base and of what it made.

The spec has `runs` (folders) and what `reports.Wish` holds. Of one run it writes report.json, report.md and report.html
into the job's folder, beside `measured.jsonl`, by which a report that was stopped goes on. Of several it compares the
losses on the first one's rows. One that started from another run is held against that, and beside it against the base.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from gemmalocal.errors import RecipeError
from gemmalocal.evaluation import metrics
from gemmalocal.evaluation.conclude import brief, compared, conclude
from gemmalocal.evaluation.measured import Loss, Measured, MeasuredRow
from gemmalocal.evaluation.page import html, markdown
from gemmalocal.export.curve import curve
from gemmalocal.files import atomic, staging
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Event, Finished, Notice, Report, Stage
from gemmalocal.jobs.plurals import counted
from gemmalocal.jobs.processes import Job
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared import (
    report_ask,
    report_judge,
    report_measure,
    report_models,
    report_settings,
    report_teacher,
)
from gemmalocal.pipelines.shared.background import Stopped
from gemmalocal.pipelines.shared.beside_training import make_way
from gemmalocal.pipelines.shared.report_ask import Asked
from gemmalocal.pipelines.shared.report_measure import Kept
from gemmalocal.pipelines.shared.run_source import check_made
from gemmalocal.workspace import reports
from gemmalocal.workspace.reports import Wish

ENDS = 30.0  # seconds that a run may take to let go of its weights


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """Report on one run, or compare several."""
    folders = [Path(folder) for folder in spec["runs"]]
    for folder in folders:
        check_made(folder)
    Job(folders[0]).ended(ENDS)  # a run that has begun its own report is about to end
    make_way("a report")
    try:
        yield from (_several if len(folders) > 1 else _one)(folders, Wish.of(spec), directory, commands)
    except Stopped:
        yield Finished("stopped", "what was measured is kept: the same command goes on with it")


def _one(folders: Sequence[Path], wish: Wish, directory: Path, commands: Commands) -> Iterator[Event]:
    (folder,) = folders
    judge = yield from report_judge.checked(wish.judge, folder, commands)  # before an hour's work
    asked, measured, teacher = yield from measurements(folder, wish, directory, commands)
    name = wish.metric or asked.recipe.report.metric
    if asked.speaker.layout.form == "text" and name == "auto":
        name = "rouge"
    metric = metrics.metric(name, [row.reference for row in asked.rows])
    figures = conclude(measured[0], metric)
    figures |= {"form": wish.form, "beside": [brief(other, metric) for other in measured[1:]]}
    figures |= report_settings.about(folder, asked.recipe, asked.rows, asked.models[1].identity)
    del asked  # a judge's weights need not stand beside theirs
    figures |= {"judge": None, "teacher": teacher}
    if judge is not None:
        figures["judge"] = yield from report_judge.ask(judge, measured[0], directory, commands)
    _write(directory, figures, folder)
    yield Report(figures)
    yield Finished("done", figures["sentence"])


def measurements(
    folder: Path, wish: Wish, directory: Path, commands: Commands
) -> Generator[Event, None, tuple[Asked, list[Measured], dict[str, Any] | None]]:
    """What was measured of a run, held against each of those that it is held against; kept in `directory`.

    And what its teacher says of the same rows, if it has one.
    """
    kept = Kept(directory / reports.MEASURED)
    with staging.folder(directory / "again") as scratch:
        among = yield from report_models.of_run(folder, wish, scratch)
        asked = yield from report_ask.asked(among, folder, wish.rows)
        gathered = yield from report_ask.gather(asked, folder, wish, kept, commands)
        names = {place: name for name, place in among.against} | {1: folder.name}
        teacher = yield from report_teacher.figures(asked, folder, names, kept, commands)
    kept.tidy()
    return asked, [report_ask.measured(asked, gathered, *against) for against in among.against], teacher


def _write(directory: Path, figures: dict[str, Any], run: Path) -> None:
    """The figures come last: where they are, the pages are theirs."""
    svg = curve(history.read(run))
    atomic.write_text(directory / reports.PAGES["md"], markdown.page(figures))
    atomic.write_text(directory / reports.PAGES["html"], html.page(figures, svg))
    atomic.write_text(directory / reports.FIGURES, json.dumps(figures, indent=1, ensure_ascii=False))


def _several(folders: Sequence[Path], wish: Wish, directory: Path, commands: Commands) -> Iterator[Event]:
    """The losses of several runs on the rows of the first; raises `RecipeError` for runs of different models."""
    bases = dict.fromkeys(str(history.spec(folder).get("model")) for folder in folders)
    if len(bases) > 1:
        raise RecipeError(
            f"The runs have different base models: {', '.join(Path(base).name for base in bases)}.",
            "Compare runs of one base model.",
        )
    among = yield from report_models.several(folders)
    asked = yield from report_ask.asked(among, folders[0], wish.rows)
    yield Notice(f"all are asked the {counted(len(asked.rows), 'held-out row')} of {folders[0].name}")
    yield from _trained_on(asked, folders)
    yield Stage("measuring losses")
    examples = [row.example for row in asked.rows]
    kept = Kept(directory / reports.MEASURED)
    scored = yield from report_measure.score(asked.models, examples, kept, commands, "losses of held-out rows")
    by_run = [
        [
            MeasuredRow(row.source, row.cluster, "", "", row.tokens, Loss(of.nats[0], of.nats[place], of.kl[place]))
            for row, of in zip(asked.rows, scored, strict=True)
        ]
        for place in range(1, len(asked.models))
    ]
    table = compared([folder.name for folder in folders], by_run)
    yield Report({"runs": table, "rows": len(asked.rows), "rows_of": folders[0].name})
    yield Finished("done")


def _trained_on(asked: Asked, folders: Sequence[Path]) -> Iterator[Event]:
    """Tell which runs were trained on the rows that they are asked: their loss is no news."""
    for folder in folders:
        copies = yield from report_ask.copies_in(asked, folder)
        if count := sum(map(bool, copies)):
            yield Notice(f"{folder.name} was trained on near copies of {count} of these rows: its loss is too good")
