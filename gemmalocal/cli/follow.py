"""Follow a job to its end: print, pass on Ctrl-C as a wish to stop, and find the exit code."""

from __future__ import annotations

import time
from collections.abc import Callable

from gemmalocal.cli.output import note, say_json_line
from gemmalocal.errors import INTERRUPTED, KILLED
from gemmalocal.files import paths
from gemmalocal.jobs import history
from gemmalocal.jobs.event_lines import decode
from gemmalocal.jobs.events import Event, Failed, Finished, Started, Unknown
from gemmalocal.jobs.processes import Job

POLL = 0.1  # seconds
ENDING = "Stopping after this step; Ctrl-C again to force it."


def follow(
    job: Job,
    tell: Callable[[Event], None],
    json: bool = False,
    stoppable: bool = True,
    ending: str = ENDING,
) -> int:
    """Print the job until it ends; the exit code.

    A first Ctrl-C asks for a stop, a second forces it; one that may not stop the job only looks away.
    `ending` is what is said to the first.
    """
    asked = 0
    last: Event | None = None
    while True:
        try:
            alive = job.alive  # asked before the read: else the end could be missed
            for line in job.lines():
                event = decode(line)
                if isinstance(event, Started | Finished | Failed):
                    last = event
                if json:
                    if not isinstance(event, Unknown):
                        say_json_line(line)
                else:
                    tell(event)
            if not alive:
                break
            time.sleep(POLL)
        except KeyboardInterrupt:
            if not stoppable:
                return INTERRUPTED
            asked += 1
            if asked > 1:
                job.kill(by_person=True)
            else:
                note(f"\n{ending}")
                job.ask(do="stop")
    return exit_code(job, last, bool(asked))


def exit_code(job: Job, last: Event | None, asked: bool) -> int:
    """Of a job that is over, by its last word, or none; `asked` if it was asked to stop."""
    if isinstance(last, Failed):
        return last.code
    if isinstance(last, Finished):
        if last.outcome == "strained":
            return KILLED
        return INTERRUPTED if asked and last.outcome == "stopped" else 0
    name, cause = job.directory.name, history.death(job)
    note(f"{name} ended too soon. {cause.message} {cause.hint}")
    if job.directory.parent == paths.runs():  # only those can be gone on with
        note(f"Its log: gemmalocal log {name}. Go on with: gemmalocal resume {name}")
    return cause.code
