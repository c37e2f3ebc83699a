"""A job that ends with whoever asked for it, by its lifeline: after a `kill -9` of the app too.

Runs, preparations and exports are not tied: they outlive the app.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import time
from functools import partial
from pathlib import Path

from gemmalocal.files import paths
from gemmalocal.jobs import parent_pipe

GRACE = 5.0  # seconds for what was asked before


def watch(directory: Path) -> bool:
    """From now on, end this process group when whoever asked is gone; False if the job is not tied.

    An errand is killed, and its folder goes with it; a chat is told to end first, which keeps what it is writing.
    """
    tied = stat.S_ISFIFO(os.fstat(0).st_mode)
    if tied:
        parent_pipe.hold(partial(_end, directory))
    return tied


def _end(directory: Path) -> None:
    if directory.parent == paths.errands():
        shutil.rmtree(directory, ignore_errors=True)
    else:
        with (directory / "inbox.jsonl").open("a", encoding="utf-8") as inbox:
            inbox.write(json.dumps({"do": "end"}) + "\n")
        time.sleep(GRACE)
    os.killpg(0, signal.SIGKILL)
