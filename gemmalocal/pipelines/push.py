"""A run's export, or a dataset, to a repository on the Hub."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from gemmalocal.errors import DatasetError
from gemmalocal.export import proved, publish, upload
from gemmalocal.export.publish import UploadFile
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Event, Finished, Report, Stage
from gemmalocal.pipelines import Commands, convert, export
from gemmalocal.pipelines.shared.background import Stopped, in_background
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.weights import account
from gemmalocal.workspace import datasets, exports

MADE_HERE = ("job.json", datasets.REPORT, datasets.REJECTED)  # a folder with one of these is a dataset of ours


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """`spec`: path (a run or a dataset), kind (model or dataset), form (or None), name, private, dry."""
    name, kind, private = spec["name"], spec["kind"], spec["private"]
    upload.check_name(name)
    try:
        if not spec["dry"]:
            yield Stage("asking the Hub who you are")
            account.whoami().check(name)  # before an export, which takes its time
        collect = _dataset if kind == "dataset" else _model
        uploads = yield from collect(spec, directory, commands)
        files = {"files": [{"name": file.name, "bytes": file.size} for file in uploads]}
        summary = {"repository": name, "kind": kind, "private": private, "dry": spec["dry"], **files}
        if spec["dry"]:
            yield Report(summary)
            yield Finished("done")
            return
        yield Stage(f"sending to {name}")
        message = f"{Path(spec['path']).name}, by gemmalocal"
        send = partial(upload.send, name, kind, uploads, private, message)
        sent = yield from in_background(send, commands, final=True)
    except Stopped:
        yield Finished(
            "stopped", "what was sent whole is kept, and nothing is in the repository yet; the same command goes on"
        )
        return
    yield Report({**summary, **sent._asdict()})
    yield Finished("done")


def _model(spec: dict[str, Any], directory: Path, commands: Commands) -> Generator[Event, None, list[UploadFile]]:
    """The files of an export; the adapter is exported now if it was not."""
    folder = Path(spec["path"])
    form = spec["form"] or ("merged" if history.result(folder).name == "model" else "adapter")
    export_folder = proved.find(folder, form)
    if export_folder is None and form == "adapter":
        yield from _quietly(export.run(exports.spec(folder, exports.ExportForm("adapter")), directory, commands))
        export_folder = proved.find(folder, form)
    if export_folder is None:
        raise proved.missing(folder, form)
    return publish.model(export_folder, spec["name"])


def _dataset(spec: dict[str, Any], directory: Path, commands: Commands) -> Generator[Event, None, list[UploadFile]]:
    """The files of a folder that is ready for the Hub; a dataset of ours is written as one first."""
    folder = Path(spec["path"])
    if any((folder / name).is_file() for name in MADE_HERE) or not (folder / "README.md").is_file():
        if not (folder / TRAIN_FILE).is_file():
            raise DatasetError(f"{folder} is not a dataset.", f"It needs {TRAIN_FILE}, or rows and a README.md.")
        hub_folder = directory / "hub"
        rows = folder if (folder / HELD_OUT_FILE).is_file() else folder / TRAIN_FILE
        details = {"path": str(rows), "form": "hub", "out": str(hub_folder), "name": spec["name"].partition("/")[2]}
        yield from _quietly(convert.run(details, directory, commands))
        folder = hub_folder
    return publish.dataset(folder)


def _quietly(events: Iterator[Event]) -> Iterator[Event]:
    """Another pipeline's work as a part of this one: its report and its last word are not ours."""
    for event in events:
        if isinstance(event, Finished) and event.outcome == "stopped":
            raise Stopped
        if not isinstance(event, Finished | Report):
            yield event
