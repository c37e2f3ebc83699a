"""What a tracker has been told of a run: kept beside the run, so that nothing is told twice, nor left out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gemmalocal.errors import GemmalocalError
from gemmalocal.files import atomic, safe_read
from gemmalocal.jobs.event_lines import decode
from gemmalocal.jobs.events import Rollback, Started
from gemmalocal.tracking.series import Point, Text, item

FILE = "sent.json"
Item = Point | Text


@dataclass
class Sent:
    """So many `lines` of a run's events, for one `place` of a tracker; `steps` are the last ones by an item's name.

    A step is told once. What was told and is trained again, as after a kill, is the same to the last digit; only what
    a roll-back takes back is trained otherwise, and then stays as it was first told.
    """

    id: str
    place: str
    lines: int = 0
    steps: dict[str, int] = field(default_factory=dict)
    table: str = ""

    @classmethod
    def known_id(cls, folder: Path) -> str:
        """The id that was told last; empty if there is none."""
        with suppress(GemmalocalError):
            return str(safe_read.json_object(folder / FILE).get("id", ""))
        return ""

    @classmethod
    def read(cls, folder: Path, run_id: str, place: str, fresh: bool) -> Sent:
        """What was told; nothing if the tracker has lost it, or it was told elsewhere."""
        with suppress(GemmalocalError, TypeError):
            sent = cls(**safe_read.json_object(folder / FILE))
            if (sent.id, sent.place) == (run_id, place) and not fresh:
                return sent
        return cls(run_id, place)

    def write(self, folder: Path) -> None:
        """Keep it."""
        atomic.write_text(folder / FILE, json.dumps(asdict(self), indent=2))

    def new(self, items: Iterable[Item]) -> list[Item]:
        """Those of items that were not told yet; from now on they count as told."""
        fresh = []
        for candidate in items:
            if candidate.step > self.steps.get(candidate.name, -1):
                self.steps[candidate.name] = candidate.step
                fresh.append(candidate)
        return fresh


def items(lines: Iterable[str], prompts: list[str]) -> list[Item]:
    """What lines of events say, without what they take back themselves."""
    said: list[Item] = []
    for line in lines:
        event = decode(line)
        if isinstance(event, Started | Rollback):  # as `history.fold` does
            last = event.to if isinstance(event, Rollback) else event.step or -1
            said = [kept for kept in said if kept.step <= last]
        with suppress(ValueError, LookupError, TypeError):
            if new := item(event, float(json.loads(line)["at"]), prompts):
                said.append(new)
    return said
