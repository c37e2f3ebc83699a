"""Jobs of a screen's own, and what a job says while it lives."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gemmalocal.jobs import processes
from gemmalocal.jobs.events import Event
from gemmalocal.jobs.processes import Job

POLL = 0.1  # seconds


async def events_of(job: Job) -> AsyncIterator[Event]:
    """What it says, until it has ended and all is read."""
    alive = True
    while alive:
        alive = await asyncio.to_thread(lambda: job.alive)  # asked before the last read
        for event in await asyncio.to_thread(job.poll):
            yield event
        await asyncio.sleep(POLL)


@asynccontextmanager
async def errand(kind: str, spec: dict[str, Any], secret: str = "") -> AsyncIterator[Job]:
    """A job that ends with the block, and whose folder goes with it; a `secret` is handed over unwritten."""
    job = await asyncio.to_thread(processes.errand, kind, spec, secret)
    try:
        yield job
    finally:
        job.kill()
        shutil.rmtree(job.directory, ignore_errors=True)
