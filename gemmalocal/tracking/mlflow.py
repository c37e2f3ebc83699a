"""MLflow: a database in the workspace, or the server that MLFLOW_TRACKING_URI names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from shlex import quote
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow.entities import Metric, Param  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

from gemmalocal.files import paths  # noqa: E402
from gemmalocal.tracking.series import Point, Text  # noqa: E402
from gemmalocal.tracking.tracker import PROJECT, USER, TrackedRun, flat  # noqa: E402

ID, SERVER = "gemmalocal.run", "MLFLOW_TRACKING_URI"  # a tag of runs; a variable
LONGEST, PARAMETERS, METRICS = 500, 100, 1000  # characters of a parameter; how many are taken at once
ENDS = {"failed": "FAILED", "killed": "KILLED", "strained": "KILLED", "live": "RUNNING"}


class Mlflow:
    """One run of the experiment, found by its tag."""

    def __init__(self, run: TrackedRun) -> None:
        home = paths.workspace()
        address = os.environ.get(SERVER) or f"sqlite:///{home / 'mlflow.db'}"
        self.place, self._client = USER.sub("//", address), (client := MlflowClient(tracking_uri=address))
        self.look = f"mlflow server --backend-store-uri {quote(self.place)}"
        known = client.get_experiment_by_name(PROJECT)
        files = None if os.environ.get(SERVER) else (home / "mlflow-files").as_uri()
        experiment = known.experiment_id if known else client.create_experiment(PROJECT, files)
        self.fresh = not (same := client.search_runs([experiment], f"tags.`{ID}` = '{run.id}'"))
        self._run = (same[0] if same else client.create_run(experiment, None, {ID: run.id}, run.name)).info.run_id
        client.update_run(self._run, status="RUNNING")
        params = [Param(key, str(value)[:LONGEST]) for key, value in flat(run.config).items()] if self.fresh else []
        for first in range(0, len(params), PARAMETERS):
            client.log_batch(self._run, params=params[first : first + PARAMETERS])

    def log(self, items: Sequence[Point | Text]) -> None:
        """Numbers as metrics, texts as files."""
        points = [item for item in items if isinstance(item, Point)]
        metrics = [Metric(name, value, round(1e3 * p.at), p.step) for p in points for name, value in p.values.items()]
        for first in range(0, len(metrics), METRICS):
            self._client.log_batch(self._run, metrics=metrics[first : first + METRICS])
        for text in (item for item in items if isinstance(item, Text)):
            self._client.log_text(self._run, text.text, f"{text.name}/step-{text.step}.txt")

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """As JSON in the layout that MLflow draws as a table."""
        self._client.log_dict(self._run, {"columns": columns, "data": rows}, f"{name}.json")

    def close(self, status: str) -> None:
        """Its end."""
        self._client.set_terminated(self._run, ENDS.get(status, "FINISHED"))


open_run = Mlflow
