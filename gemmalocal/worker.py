"""The child process: hold the lock, read job.json, run its pipeline, append each event. Or follow one that does."""

from __future__ import annotations

import io
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from gemmalocal import __version__
from gemmalocal.errors import GemmalocalError
from gemmalocal.files import staging, system_errors
from gemmalocal.jobs import history, holder, launcher, parent_watch
from gemmalocal.jobs.event_lines import encode
from gemmalocal.jobs.events import Event, Failed, Notice, Started
from gemmalocal.jobs.terminal_text import visible

PACKAGES = ("mlx", "mlx-lm", "torch", "transformers", "bitsandbytes", "numpy", "tokenizers")
NICE = 10  # of a run, a preparation, an export
PIPELINES = Path(__file__).parent / "pipelines"


def kinds() -> list[str]:
    """The kinds of job that this version knows: one file each in `pipelines/`."""
    return sorted(file.stem for file in PIPELINES.glob("[!_]*.py"))


class Inbox:
    """What watchers asked since the last look."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0

    def __call__(self) -> list[dict[str, Any]]:
        """The new commands; a line that is not a JSON object is passed over."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            block = file.read()
        whole = block[: block.rfind(b"\n") + 1]
        self._offset += len(whole)
        commands = []
        for line in whole.splitlines():
            try:
                command = json.loads(line)
            except ValueError:
                continue
            if isinstance(command, dict):
                commands.append(command)
        return commands


def versions() -> dict[str, str]:
    """Of us, of Python and of the packages that decide results."""
    by_name = {"gemmalocal": __version__, "python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            by_name[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return by_name


class EventLog:
    """Appends events to a job's file, each whole or not at all; raises `OSError`."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file

    def __call__(self, event: Event) -> None:
        """Say one."""
        start, line = self._file.seek(0, os.SEEK_END), encode(event, time.time()).encode() + b"\n"
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError:  # a full disk takes a part
            with suppress(OSError):
                self._file.truncate(start)
            raise


def run(directory: Path) -> int:
    """Work on the job in `directory` to its end; the exit code."""
    staging.sweep(directory)  # ours alone: the lock is held
    staging.tidy()
    with io.FileIO(directory / "events.jsonl", "a+") as file:
        if file.tell() and not _ends_whole(directory / "events.jsonl"):
            file.write(b"\n")  # a killed attempt may have torn its last line
        say = EventLog(file)
        try:
            for event in _work(directory):
                say(event)
        except Exception as error:
            return _fail(say, error, directory)
    return 0


def _work(directory: Path) -> Iterator[Event]:
    """What the job says: who works on it, then what its pipeline yields."""
    kind, spec = history.kind(directory), history.spec(directory)
    attempt = history.attempts(directory) + 1
    step, told = _settled(directory)
    yield Started(kind, os.getpid(), attempt, versions(), step)
    for text in told:
        yield Notice(text)
    if kind not in kinds():
        raise GemmalocalError(
            f"This version does not know the kind of job '{kind}'.",
            "A newer one began it: bring gemmalocal up to date.",
        )
    pipeline = import_module(f"gemmalocal.pipelines.{kind}")
    yield from pipeline.run(spec, directory, Inbox(directory / "inbox.jsonl"))


def _fail(say: EventLog, error: Exception, directory: Path) -> int:
    """Leave the last word, if there is room for it, and the exit code."""
    with suppress(OSError):  # the log may be on a full disk
        traceback.print_exc()
    unforeseen = GemmalocalError(f"Something unexpected went wrong: {error}", f"See {directory / 'log.txt'}.")
    cause = system_errors.explained(error) or unforeseen
    name = type(error if cause is unforeseen else cause).__name__
    with suppress(OSError):  # whoever looks on finds out by himself: see `history.death`
        say(Failed(name, cause.message, cause.hint, cause.code))
    return cause.code


def follow(directory: Path, job: dict[str, Any], rank: int) -> int:
    """Work beside rank 0 on `job`, without a lock and without events; what is printed goes to `log.<rank>.txt`."""
    terminal = os.fdopen(os.dup(2), "w", encoding="utf-8")
    with (directory / f"log.{rank}.txt").open("ab") as log:
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)
    try:
        for _ in import_module(f"gemmalocal.pipelines.{job['kind']}").run(job["spec"], directory, list):
            pass
    except (GemmalocalError, OSError) as error:
        traceback.print_exc()
        cause = system_errors.explained(error) or GemmalocalError(str(error))
        print(visible(f"Process {rank}: {cause.message} {cause.hint}"), file=terminal)
        return cause.code
    return 0


def stand_back() -> None:
    """Let whatever the user is doing meanwhile come first; on a machine that is left alone this costs nothing."""
    os.nice(NICE)
    with suppress(OSError):  # Linux shares the time between sessions before it does so between their processes
        Path("/proc/self/autogroup").write_text(str(NICE))


def _settled(directory: Path) -> tuple[int, list[str]]:
    """The step of the newest whole checkpoint, 0 if there is none, and what is to be told of damaged ones."""
    if not (directory / "checkpoints").is_dir():
        return 0, []
    from gemmalocal.engine import checkpoints

    return checkpoints.settle(directory / "checkpoints")


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


if __name__ == "__main__":
    folder, *given = sys.argv[1:]
    launched = launcher.launched()
    if given and launched:
        sys.exit(follow(Path(folder), json.loads(given[0]), launched.rank))
    holder.sign(Path(folder) / "lock")
    if not parent_watch.watch(Path(folder)) and launched is None:  # a launcher's processes are equals
        stand_back()
    sys.exit(run(Path(folder)))
