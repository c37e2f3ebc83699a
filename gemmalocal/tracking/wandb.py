"""Weights & Biases: offline, in files beside the run, unless WANDB_MODE says otherwise."""

from __future__ import annotations

import os
from collections.abc import Sequence
from shlex import quote
from typing import Any

OFFLINE = os.environ.setdefault("WANDB_MODE", "offline") == "offline"
os.environ.setdefault("WANDB_ERROR_REPORTING", "false")

import wandb  # noqa: E402

from gemmalocal.tracking.series import Point, Text  # noqa: E402
from gemmalocal.tracking.tracker import BESIDE, PROJECT, TrackedRun  # noqa: E402

QUIET = {"console": "off", "silent": True, "disable_git": True, "disable_code": True, "save_code": False}
MACHINE = dict.fromkeys(("x_disable_stats", "x_disable_meta", "x_disable_machine_info"), True)  # nothing of it is told
FILES = {"x_save_requirements": False, "x_transaction_log_flush_interval": 1.0}  # seconds
WELL = ("done", "early", "stopped", "live")


class Wandb:
    """One run; offline each opening writes a folder of its own, and `wandb sync` joins them by the run's id."""

    def __init__(self, run: TrackedRun) -> None:
        self.fresh = OFFLINE and not any(run.folder.glob(f"wandb/offline-run-*-{run.id}"))
        self.place = BESIDE if OFFLINE else os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=run.name,
            id=run.id,
            resume=None if OFFLINE else "allow",
            dir=str(run.folder),
            config=dict(run.config),
            settings=wandb.Settings(**QUIET, **MACHINE, **FILES),
        )
        folders = run.folder / "wandb" / f"offline-run-*-{run.id}"
        self.look = f"wandb sync {quote(str(folders.parent))}/{folders.name}" if OFFLINE else str(self._run.url)

    def log(self, items: Sequence[Point | Text]) -> None:
        """Numbers and texts under their step."""
        for item in items:
            self._run.log(dict(item.values) if isinstance(item, Point) else {item.name: item.text}, step=item.step)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """As a table of theirs, whose cells of a column are of one type."""
        self._run.log({name: wandb.Table(columns=list(columns), data=[[str(cell) for cell in row] for row in rows])})

    def close(self, status: str) -> None:
        """Its end, with an exit code; its files are whole when wandb's own process has ended."""
        self._run.finish(exit_code=int(status not in WELL))
        wandb.teardown()


open_run = Wandb
