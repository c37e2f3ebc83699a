"""What a tracker is, and what it is told of a run: one small file each beside this one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from gemmalocal.errors import GemmalocalError
from gemmalocal.tracking.series import Point, Text

BESIDE = "beside the run"  # where trackers keep what moves along with it
PROJECT = "gemmalocal"  # under which runs are kept together
LONGEST = 400  # characters of a library's message
USER = re.compile(r"//[^/@\s]*@")  # of an address: it may hold a password


class TrackerFailed(GemmalocalError):
    """A tracker that could not take what a run said; the run knows nothing of it."""


@dataclass(frozen=True)
class TrackedRun:
    """A run as trackers know it: its name, an id that no other has, its recipe, and a folder for their files."""

    name: str
    id: str
    config: Mapping[str, Any]
    folder: Path


class Tracker(Protocol):
    """A class of this is opened with a `TrackedRun`, and goes on with the one of that id if it is there."""

    place: str  # where it keeps runs, without a secret
    look: str  # the command that shows them
    fresh: bool  # nothing is there yet of this run

    def log(self, items: Sequence[Point | Text]) -> None:
        """Take these, in the order of their steps, and keep them before coming back."""

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Take a table, in place of the one of that name."""

    def close(self, status: str) -> None:
        """The run has ended (done, stopped, early, strained, failed, killed), or is `live` and nobody looks on."""


def opened(name: str, run: TrackedRun) -> Tracker:
    """The tracker of that name."""
    with explained(name):
        tracker: Tracker = import_module(f"gemmalocal.tracking.{name}").open_run(run)
        return tracker


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn a tracker's fault into a sentence."""
    try:
        yield
    except Exception as error:  # each library raises what it likes; each means that it did not take it
        said = " ".join(USER.sub("//", str(error)).split())[:LONGEST] or type(error).__name__
        hint = f"The run goes on. Send the rest later: gemmalocal track RUN --to {name}"
        raise TrackerFailed(f"{name} failed: {said}", hint) from error


def flat(tree: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A nested mapping as one of dotted keys."""
    values: dict[str, Any] = {}
    for key, value in tree.items():
        values |= flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return values
