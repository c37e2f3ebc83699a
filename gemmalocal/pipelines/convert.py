"""A dataset, or any rows, to a folder in a form that another program reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gemmalocal.data import row_writers, sources
from gemmalocal.data.cells import UnusableRow
from gemmalocal.data.dataset import Records
from gemmalocal.documents import splits
from gemmalocal.errors import DatasetError
from gemmalocal.files import atomic, targets
from gemmalocal.jobs.events import Event, Finished, Notice, Report, Stage
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.background import Stopped, in_background
from gemmalocal.recipe.data_spec import DataSpec
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE, Rejected, Tell
from gemmalocal.workspace import datasets, ratings


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """Write the rows at `spec["path"]` in `spec["form"]` into the folder `spec["out"]`, whole or not at all."""
    source, out = Path(spec["path"]), targets.checked_target(spec["out"], targets.empty, directory)
    sides = {"train": source / TRAIN_FILE, "test": source / HELD_OUT_FILE}
    if not all(file.is_file() for file in sides.values()):
        brought = sources.find(str(source)).brings_held_out
        sides = {"train": source, "test": source} if brought else {"train": source}
    yield Stage(f"writing {spec['form']}")
    report: dict[str, Any] = {"path": str(out), "form": spec["form"]}
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with atomic.new_folder(out, targets.empty) as folder:
            written = dict[str, tuple[str, int]]()
            for split, file in sides.items():
                if file.is_file() and not file.stat().st_size:
                    continue  # nothing was held out
                count, notices = yield from in_background(
                    lambda tell, split=split, file=file: _side(str(file), spec["form"], folder, split, tell),  # type: ignore[misc]
                    commands,
                )
                yield from map(Notice, notices)
                written[split] = (f"{split}{row_writers.FORMS[spec['form']][1]}", count)
            if spec["form"] == "hub":
                dataset_report = {**datasets.report(source), **_rated(source)}
                card = row_writers.card(spec["name"], written, dataset_report)
                (folder / "README.md").write_text(card, encoding="utf-8")
    except Stopped:
        yield Finished("stopped", "nothing was written")
        return
    yield Report({**report, "rows": {split: count for split, (_, count) in written.items()}})
    yield Finished("done")


def _rated(source: Path) -> dict[str, str]:
    """What a person said of the rows, for the card."""
    said = ratings.sentence(source)
    return {"rated": said.replace("by you", "by a person")} if said else {}


def _side(path: str, form: str, folder: Path, split: str, tell: Tell) -> tuple[int, list[str]]:
    """One file of rows in a form: how many, and what is to be known of those left out."""
    make, suffix = row_writers.FORMS[form]
    side = splits.HELD_OUT if split == "test" and not Path(path).is_file() else splits.TRAIN
    records = Records(DataSpec(path=path), side=side, use=None)

    def rows() -> Iterator[row_writers.WrittenRow]:
        for record in records:
            tell("rows", records.done, records.total)
            try:
                yield make(record)
            except UnusableRow as problem:
                records.findings.reject(Rejected(record.source, str(problem)))

    count = row_writers.write(rows(), folder / f"{split}{suffix}")
    if not count:
        raise DatasetError(f"No row of {path} fits the form {form}.", "; ".join(records.findings.notices()[:1]))
    return count, [*records.notes(), *records.findings.notices()]
