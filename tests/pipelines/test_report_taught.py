"""A report on a run with a teacher: student, plain student and teacher on the same held-out rows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gemmalocal.files import paths
from gemmalocal.jobs import history
from gemmalocal.recipe import recipe_file
from gemmalocal.workspace import reports
from tests import here
from tests.pipelines.reporting import reported

PLAIN = ("data.split=0.4", "samples.prompts=[]", "lora.dropout=0", "train.steps=8")

pytestmark = pytest.mark.usefixtures("brief")


def trained(recipe: Path, workspace: Path, name: str, *items: str) -> Path:
    spec = recipe_file.load(str(recipe), [*PLAIN, *items]).model_dump(mode="json")
    folder = here.work(workspace / "runs" / name, "train", spec).directory
    assert history.read(folder).status == "done"
    return folder


@pytest.mark.parametrize(
    "items",
    [("teacher.model=teacher",), ("teacher.model=teacher", "teacher.temperature=2"), ("teacher.model=self",)],
    ids=["run", "tempered", "self"],
)
def test_all_three_stand_beside_each_other(items: tuple[str, ...], recipe_path: Path, workspace: Path) -> None:
    trained(recipe_path, workspace, "teacher", "train.steps=30", "lora.rank=8")
    trained(recipe_path, workspace, "plain", "train.steps=4")
    taught = trained(recipe_path, workspace, "taught", "teacher.keep=8", *items)
    figures = reported(taught, "--rows", "40", "--against", "plain")
    teacher = figures["teacher"]
    plain, student = teacher["models"]
    assert (plain["name"], student["name"]) == ("plain", "taught")
    best = history.read(taught).best
    assert best is not None
    assert best.preference is not None
    assert (teacher["rows"], teacher["tokens"]) == (figures["rows"], best.tokens)
    for name in ("agreement", "kl"):  # as the run measured itself
        assert student[name] == pytest.approx(best.preference[name], rel=1e-3)
    assert student["kl"] < plain["kl"]
    assert student["loss"] == pytest.approx(figures["loss"]["tuned"], rel=1e-3)
    assert 0 < teacher["right"] <= teacher["kept"] <= 1
    if "teacher.temperature=2" in items:
        assert teacher["loss_at_least"] is None
    elif "teacher.model=teacher" in items:  # its loss, as a report on the teacher itself has it
        own = reported(workspace / "runs" / "teacher", "--rows", "40")["loss"]["tuned"]
        assert own >= teacher["loss_at_least"] - 1e-3
    page = (taught / reports.OTHERS / "against-plain" / reports.PAGES["md"]).read_text()
    assert "## Beside the teacher" in page
    assert teacher["sentence"] in here.run("report", "taught", "--rows", "40", "--against", "plain").stdout
    shutil.rmtree(paths.teachers())
    done = here.run("report", "taught", "--rows", "39", "--json")
    assert "is not kept" in done.stderr
