"""TensorBoard: event files beside the run, in double precision, by tensorboard's own writer."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from shlex import quote
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.scalar import metadata as scalars
from tensorboard.plugins.text import metadata as texts
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

from gemmalocal.tracking.series import Point, Text
from gemmalocal.tracking.tracker import BESIDE, TrackedRun

SCALAR, TEXT = scalars.create_summary_metadata("", ""), texts.create_summary_metadata("", "")


class TensorBoard:
    """One event file for each time that it is opened."""

    def __init__(self, run: TrackedRun) -> None:
        folder = run.folder / "events"
        self.fresh = not any(folder.glob("*tfevents*"))
        self.place, self.look = BESIDE, f"tensorboard --logdir {quote(str(run.folder.parent.parent.parent))}"
        self._writer = EventFileWriter(str(folder))
        if self.fresh:
            self.log([Text("recipe", 0, 0.0, f"```\n{json.dumps(run.config, indent=2)}\n```")])

    def log(self, items: Sequence[Point | Text]) -> None:
        """Numbers as scalars, samples as texts."""
        for item in items:
            if isinstance(item, Text):
                self._add(item, item.name, make_tensor_proto(np.array([item.text.encode()], object)), TEXT)
            else:
                for name, value in item.values.items():
                    self._add(item, name, make_tensor_proto(np.float64(value)), SCALAR)
        self._writer.flush()

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """As a text in Markdown, which TensorBoard draws."""
        lines = (f"| {' | '.join(map(str, cells))} |" for cells in (columns, ["---"] * len(columns), *rows))
        self.log([Text(name, 0, 0.0, "\n".join(lines))])

    def close(self, status: str) -> None:
        """TensorBoard knows no end of a run."""
        self._writer.close()

    def _add(self, item: Point | Text, name: str, tensor: Any, about: Any) -> None:
        summary = Summary(value=[Summary.Value(tag=name, tensor=tensor, metadata=about)])
        self._writer.add_event(Event(wall_time=item.at or time.time(), step=item.step, summary=summary))


open_run = TensorBoard
