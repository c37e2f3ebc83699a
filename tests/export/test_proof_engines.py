"""Who reads an export for its proof: the other engine where it can, the run's own where it cannot."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gemmalocal.backends.torch import device
from gemmalocal.errors import OutOfMemory
from gemmalocal.export.source import FinishedRun
from gemmalocal.jobs import history
from gemmalocal.pipelines.shared import export_proof
from gemmalocal.planning import device_memory
from gemmalocal.recipe.schema import Recipe
from gemmalocal.workspace.exports import ExportForm
from tests.backends.test_torch_devices import Poorer
from tests.pipelines.test_runs import finished


@pytest.fixture
def source(workspace: Path, recipe_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> FinishedRun:
    """A run that MLX trained, over weights in eight bits; little is asked of it."""
    monkeypatch.setattr(export_proof, "PROMPTS", 1)
    monkeypatch.setattr(export_proof, "ANSWER", 3)
    run = finished(workspace, "q", recipe_path, "train.steps=2", "samples.prompts=[]", "quantize=8bit", "backend=mlx")
    recipe = Recipe.model_validate(history.spec(run.directory))
    return FinishedRun(run.directory, recipe, tiny, run.directory / "adapter")


def read_by(source: FinishedRun) -> str:
    """As the proof says, such as "the adapter over its base, by torch"."""
    return export_proof.prove(ExportForm("adapter"), source, source.result, lambda *what: None).reader


def test_it_is_read_by_an_engine_that_can(source: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(device.DESCRIPTION, "mps")
    with Poorer(device.traits()):
        assert read_by(source).endswith("by torch"), "float64 was not asked for"
    with monkeypatch.context() as patch:  # as on a Mac, for whose GPU bitsandbytes is not installed
        patch.setitem(sys.modules, "bitsandbytes", None)
        four = source.recipe.model_copy(update={"quantize": "4bit"})
        assert read_by(FinishedRun(source.run, four, source.base, source.result)).endswith("by mlx")
    with monkeypatch.context() as patch:
        patch.setattr("gemmalocal.backends.torch.device_memory", lambda: device_memory.ram(10**6))
        assert read_by(source).endswith("by mlx")

    def short(*args: object) -> None:
        raise OutOfMemory("The machine is out of memory.")

    monkeypatch.setattr("gemmalocal.backends.torch.trainer", short)
    assert read_by(source).endswith("by mlx")


def test_a_run_of_an_engine_that_is_not_here_is_proved_by_the_other(
    source: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_proof, "installed", lambda name: name == "torch")
    assert read_by(source).endswith("by torch")
