"""The examples of docs/python.md and the notebook, run as they stand; `quotes` is a small recipe meanwhile."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from gemmalocal.jobs import processes
from tests.here import work
from tests.tool_calls.conftest import SAID

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
NOTEBOOK = ROOT / "recipes" / "quotes.ipynb"


@pytest.fixture(autouse=True)
def small_quotes(recipe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of this name goes before the recipe that comes along."""
    (recipe_path.parent / "quotes").write_text(recipe_path.read_text())
    monkeypatch.chdir(recipe_path.parent)


def test_the_examples_of_the_paper_run(
    capsys: pytest.CaptureFixture[str], tiny: Path, monkeypatch: pytest.MonkeyPatch, caller_home: Path, workspace: Path
) -> None:
    shutil.copytree(caller_home / "runs" / "caller", workspace / "runs" / "kettle")
    begin = processes.start

    def start(
        directory: Path, kind: str, spec: dict[str, object], tied: bool = False, secret: str = ""
    ) -> processes.Job:
        model = {"model": str(tiny)} if kind == "prepare" else {}
        return begin(directory, kind, spec, tied, secret) if tied else work(directory, kind, {**spec, **model})

    monkeypatch.setattr(processes, "start", start)
    examples = EXAMPLE.findall((ROOT / "docs" / "python.md").read_text())
    assert len(examples) == 8
    names: dict[str, object] = {}
    for example in examples:
        exec(compile(example, "docs/python.md", "exec"), names)
    said = capsys.readouterr().out
    assert "True (" in said
    assert "Did you mean steps?" in said
    assert "'name': 'heat', 'arguments': {'of': 'tea'}" in said
    assert SAID in said


def test_the_notebook_runs_and_holds_no_outputs() -> None:
    import nbformat
    from nbclient import NotebookClient

    raw = json.loads(NOTEBOOK.read_text())
    cells = [cell for cell in raw["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
    shown = json.dumps([cell.get("outputs") for cell in notebook.cells])
    for wanted in ("to train on", "done", "before", "base:", "proof", "image/png"):
        assert wanted in shown, wanted
