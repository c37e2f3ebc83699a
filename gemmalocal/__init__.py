"""gemmalocal: your Gemma, tuned on your own rows and documents, on your own machine.

The map of the house. Imports point upstream: a room imports only those above it here. docs/architecture.md has the
laws, and the way of a row and of a key press.

    errors.py   what can go wrong, as a sentence, a remedy and an exit code
    records.py  what a training record is
    tool_calls/ text that calls tools  -> the calls, and back
    files/      files written whole, read within bounds; where things are kept
    jobs/       what a job directory is: its events, its history, its process
    evaluation/ what was measured  -> intervals, tests, a verdict, a page; texts and numbers alone
    recipe/     what a person writes: YAML -> recipes and preparations
    planning/   a recipe, a machine    -> memory, time, heat: does it fit
    workspace/  runs, datasets, exports, chats, as front ends list, begin and delete them
    documents/  files              -> documents -> passages; files of rows -> rows
    templates/  Jinja templates of others -> text, sandboxed and with an end
    synthesis/  passages           -> rows with evidence, or a reason
    weights/    a model's name     -> a folder of weights
    data/       rows               -> records -> examples (ids, weights) -> micro-batches
    serving/    OpenAI's protocol  -> questions to an engine, and its answers
    tracking/   a run's events     -> TensorBoard, Weights & Biases, Trackio, MLflow
    backends/   batches or ids     -> numbers, ids, adapter folders   (mlx/ and torch/, equal siblings)
    engine/     a trainer, batches -> events
    export/     a base, a result   -> folders and files for other programs; the proof
    pipelines/  one file a kind of job; the only place where rooms meet; each runs in a child process (worker.py)
    cli/        a watcher of job directories: starts, prints, stops (tui/ is the other one)
    api/        the same from Python: another watcher
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
if TYPE_CHECKING:
    from gemmalocal.api import (
        chat,
        check,
        compare,
        dataset,
        datasets,
        export,
        models,
        prepare,
        report,
        resume,
        run,
        runs,
        train,
    )

__all__ = [
    "chat",
    "check",
    "compare",
    "dataset",
    "datasets",
    "export",
    "models",
    "prepare",
    "report",
    "resume",
    "run",
    "runs",
    "train",
]


def __getattr__(name: str) -> Any:
    """What is used from Python is loaded when it is first asked for: see `gemmalocal.api`."""
    if name in __all__:
        from gemmalocal import api

        return getattr(api, name)
    raise AttributeError(f"module 'gemmalocal' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
