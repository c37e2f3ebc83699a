"""A trained run of the tiny Gemma to report on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gemmalocal.evaluation import general
from gemmalocal.jobs import history
from gemmalocal.recipe import recipe_file
from tests.here import work


@pytest.fixture
def run(recipe_path: Path, workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the tiny Gemma, trained once and copied."""
    trained, folder = tmp_path_factory.getbasetemp() / "trained-for-report", workspace / "runs" / "one"
    if not trained.exists():
        work(folder, "train", recipe_file.load(str(recipe_path), ["data.split=0.4"]).model_dump(mode="json"))
        assert history.read(folder).status == "done"
        shutil.copytree(folder, trained)
    else:
        shutil.copytree(trained, folder)
    return folder


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Few general questions and texts, but where a test asks for all."""
    if request.node.get_closest_marker("whole") is None:
        questions, texts = general.questions(), general.texts()
        monkeypatch.setattr(general, "questions", lambda: questions[:2])
        monkeypatch.setattr(general, "texts", lambda: texts[:2])
