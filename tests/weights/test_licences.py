"""The licence that the list of models says of one on this disk, by its configuration."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.jobs.events import Report
from gemmalocal.pipelines import models
from gemmalocal.planning import published


@pytest.mark.parametrize(
    ("model_type", "licence"), [("gemma3_text", published.GEMMA_TERMS), ("gemma4", published.APACHE)]
)
def test_a_model_of_ones_own_has_its_familys_licence(
    model_type: str, licence: published.Licence, tiny: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folders" / "my-own"
    shutil.copytree(tiny, folder)
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": model_type}))
    (entry,) = [entry for entry in _listed(tmp_path) if entry["name"] == str(folder)]
    assert entry["licence"] == licence.terms


def _listed(tmp_path: Path) -> list[dict[str, Any]]:
    events = models.run({"folders": [str(tmp_path / "folders")]}, tmp_path, list)
    (report,) = [event for event in events if isinstance(event, Report)]
    entries: list[dict[str, Any]] = report.data["models"]
    return entries
