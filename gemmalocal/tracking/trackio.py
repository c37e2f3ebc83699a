"""Trackio: its own database on this machine, or the Space that TRACKIO_SPACE_ID names unless the Hub is offline."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
    for online in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "TRACKIO_DATASET_ID", "TRACKIO_BUCKET_ID"):
        os.environ.pop(online, None)

import trackio  # noqa: E402
from trackio.sqlite_storage import SQLiteStorage  # noqa: E402

from gemmalocal.tracking.series import Point, Text  # noqa: E402
from gemmalocal.tracking.tracker import PROJECT, TrackedRun  # noqa: E402


class Trackio:
    """One run of the project; what is logged goes into the database in the background, until the end."""

    def __init__(self, run: TrackedRun) -> None:
        self.fresh = run.id not in SQLiteStorage.get_runs(PROJECT)
        server = os.environ.get("TRACKIO_SPACE_ID") or os.environ.get("TRACKIO_SERVER_URL")
        self.place = str(server or trackio.TRACKIO_DIR).partition("?")[0]
        self.look = f"trackio show --project {PROJECT}"
        self._run = trackio.init(
            project=PROJECT,
            name=run.id,
            resume="allow",
            config=dict(run.config),
            auto_log_cpu=False,
            auto_log_gpu=False,
            embed=False,
        )

    def log(self, items: Sequence[Point | Text]) -> None:
        """Numbers and texts under their step."""
        for item in items:
            self._run.log(dict(item.values) if isinstance(item, Point) else {item.name: item.text}, step=item.step)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """As a table of theirs."""
        self._run.log({name: trackio.Table(columns=list(columns), data=[list(row) for row in rows])})

    def close(self, status: str) -> None:
        """Wait until all is in the database."""
        self._run.finish()


open_run = Trackio
