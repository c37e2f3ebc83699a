"""What is tied to the process that asked ends with it, even with a killed one; what is not goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from gemmalocal.files import paths
from gemmalocal.jobs import processes
from tests.children import until

ASK = """
import signal, sys
from pathlib import Path
from gemmalocal.jobs import processes
from gemmalocal.recipe import recipe_file
from gemmalocal.workspace import rows, runs
view = rows.view(sys.argv[1])
errand = processes.errand("rows", view.spec)
run = runs.begin(recipe_file.load(sys.argv[1], ["train.steps=100000"]), "free", None)
print(errand.directory, run.directory, flush=True)
signal.pause()
"""


def test_an_errand_ends_with_a_killed_asker_and_a_run_does_not(recipe_path: Path) -> None:
    asker = subprocess.Popen(
        [sys.executable, "-c", ASK, str(recipe_path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert asker.stdout is not None
    errand, run = (processes.Job(Path(word)) for word in asker.stdout.readline().split())
    try:
        assert errand.directory.parent == paths.errands()
        until(lambda: any('"report"' in line for line in errand.lines()), errand)
        until(lambda: any('"step"' in line for line in run.lines()), run)
        asker.send_signal(signal.SIGKILL)
        asker.wait()
        until(lambda: not errand.directory.exists(), run)
        assert run.alive
    finally:
        asker.kill()
        run.kill()
