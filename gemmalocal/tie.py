"""A child that ends with whoever asked it: its input is a pipe, whose other end nobody holds once the asker is gone.

So it ends after a `kill -9` of the app too. Runs, preparations and exports are not tied: they outlive the app.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import threading
import time
from pathlib import Path

from gemmalocal import paths

GRACE = 5.0  # seconds for what was asked before


def watch(directory: Path) -> None:
    """From now on, end this process group when nobody holds the other end; nothing if our input is no pipe.

    An errand is killed, and its folder goes with it; a chat is told to end first, which keeps what it is writing.
    """
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=_watch, args=(directory,), daemon=True).start()


def _watch(directory: Path) -> None:
    while os.read(0, 1024):
        pass
    if directory.parent == paths.errands():
        shutil.rmtree(directory, ignore_errors=True)
    else:
        with (directory / "inbox.jsonl").open("a", encoding="utf-8") as inbox:
            inbox.write(json.dumps({"do": "end"}) + "\n")
        time.sleep(GRACE)
    os.killpg(0, signal.SIGKILL)
