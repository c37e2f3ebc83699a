"""The torch engine through the same commands, and who is chosen when a recipe leaves it open."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gemmalocal import backends
from gemmalocal.backends import mlx, open_backend
from gemmalocal.errors import BackendUnavailable
from gemmalocal.jobs import history
from tests.here import apart
from tests.pipelines.preparations import LIGHT

SHELL = """
import json, sys
from tests.here import run
for line in sys.stdin:
    done = run(*json.loads(line))
    print(json.dumps([done.returncode, done.stdout, done.stderr]), flush=True)
"""


class Shell:
    """A process that gives one command after the other, and brings torch once for all of their jobs."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", SHELL]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        code, out, err = json.loads(self.process.stdout.readline())
        return subprocess.CompletedProcess(words, code, out, err)


@pytest.fixture
def shell(no_mlx: None) -> Iterator[Shell]:
    shell = Shell()
    with shell.process:  # which closes its pipes, and so ends it
        yield shell


@pytest.fixture
def no_mlx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are started from here on find no MLX, as on a machine where it was not installed."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import sys\nsys.modules['mlx'] = sys.modules['mlx_lm'] = None\n"
    )
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path.rstrip(os.pathsep))


def test_all_that_speaks_does_so_without_mlx(
    shell: Shell, recipe_path: Path, workspace: Path, tiny: Path, tmp_path: Path
) -> None:
    refused = shell.run("train", str(recipe_path), "--set", "backend=mlx", "--set", "train.steps=2")
    assert refused.returncode == 3
    assert "'mlx' is not installed" in refused.stderr
    for name, backend in (("one", "auto"), ("elsewhere", "torch")):
        trained = shell.run(
            "train", str(recipe_path), "--set", f"backend={backend}", "--set", "train.steps=4", "--name", name
        )
        assert trained.returncode == 0, trained.stderr
    job = workspace / "runs" / "elsewhere" / "job.json"  # as if it came from a machine that has MLX
    job.write_text(job.read_text().replace('"backend": "torch"', '"backend": "mlx"'))
    asked = apart("chat", "one", "elsewhere", "--prompt", "the quote of a:", "--max-tokens", "5", "--json")
    assert asked.returncode == 0, asked.stderr
    assert "sets of weights" not in asked.stderr
    said = [answer["text"] for answer in json.loads(asked.stdout)["answers"]]
    state = history.read(workspace / "runs" / "one")
    samples = {one.when: one.text for one in state.samples}
    assert said == [samples["before"], samples["after"], samples["after"]]
    (tmp_path / "light.md").write_text(LIGHT)
    prepared = shell.run("prepare", str(tmp_path / "light.md"), "--to", "d", "--model", str(tiny), "--json")
    assert prepared.returncode == 0, prepared.stderr
    events = [json.loads(line) for line in prepared.stdout.splitlines()]
    assert next(event["data"] for event in events if event["event"] == "report")["asked"] > 0


def test_auto_takes_what_the_machine_is_made_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from gemmalocal.backends import torch

    def chosen(metal_or_blas: bool, card: bool) -> str:
        monkeypatch.setattr(mlx, "at_home", lambda: metal_or_blas)
        monkeypatch.setattr(torch, "at_home", lambda: card)
        monkeypatch.setattr(backends, "NVIDIA", ("/",) if card else ())
        return open_backend("auto").name

    assert chosen(True, False) == "mlx"
    assert chosen(True, True) == "torch"
    assert chosen(False, False) == "torch"
    monkeypatch.setattr(backends, "NVIDIA", ("/",))  # a driver, and no card
    monkeypatch.setattr(torch, "at_home", lambda: False)
    monkeypatch.setattr(mlx, "at_home", lambda: True)
    assert open_backend("auto").name == "mlx"


def test_a_backend_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendUnavailable, match="jax"):
        open_backend("jax")
    monkeypatch.setattr(backends, "BACKENDS", {"odd": ("odd", ("no_such_package",), "pip install odd")})
    with pytest.raises(BackendUnavailable) as found:
        open_backend("odd")
    assert found.value.hint == "pip install odd"
