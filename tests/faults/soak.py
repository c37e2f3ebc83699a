"""`python -m tests.faults.soak`: long work of every kind, and whether memory, descriptors and threads stay flat.

2,000 steps, 3,000 documents, 200 turns of a chat, and 500 requests to each server, with tiny models: what grows with a
step, a file, a turn or a request grows here too. Each is a process of its own, as a user has it, seen from outside.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil

from gemmalocal.jobs import history, holder, processes
from gemmalocal.jobs.events import Progress, Replied, Step
from tests.faults.parts import World

GROWTH = 1.05  # of the second quarter's memory, by the last quarter: beyond it, something grows
SLACK = 8e6  # bytes that an allocator may keep, whatever was done
LIMIT = 1800.0  # seconds for each part
LOOKS = 80  # at a process, over its work
WORDS = ("lamp", "lens", "keeper", "journal", "siren", "harbour", "tower", "bridge", "river", "garden", "hive", "comb")


@dataclass
class Watched:
    """A process and its children, looked at after each share of the work."""

    process: psutil.Process
    memory: list[float] = field(default_factory=list)  # bytes
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def look(self) -> None:
        """Take one reading."""
        try:
            every = [self.process, *self.process.children(recursive=True)]
            self.memory.append(sum(one.memory_info().rss for one in every))
            self.descriptors.append(sum(one.num_fds() for one in every))
            self.threads.append(sum(one.num_threads() for one in every))
        except psutil.Error:
            return  # it is ending

    def line(self, what: str) -> tuple[bool, str]:
        """Whether it stayed flat from the second quarter to the last, and a line of the table."""
        count = len(self.memory) // 4
        early, late = (
            [statistics.median(values[part]) for values in (self.memory, self.descriptors, self.threads)]
            for part in (slice(count, 2 * count), slice(-count, None))
        )
        flat = (
            late[0] <= max(GROWTH * early[0], early[0] + SLACK) and late[1] <= early[1] + 2 and late[2] <= early[2] + 2
        )
        memory = f"{early[0] / 1e6:.0f} -> {late[0] / 1e6:.0f} MB"
        rest = f"{early[1]:.0f} -> {late[1]:.0f} | {early[2]:.0f} -> {late[2]:.0f}"
        return flat, f"| {what:<24} | {memory:<16} | {rest} | {'flat' if flat else 'GROWS'} |"


def steps(world: World, home: Path) -> Watched:
    """2,000 steps of training."""
    spec = world.recipe("train.steps=2000", "train.evaluate_every=500", "train.save_every=100")
    job = processes.start(home / "runs" / "soak", "train", spec)
    return _watched(job, 2000, lambda event: event.step if isinstance(event, Step) else None)


def documents(world: World, home: Path) -> Watched:
    """3,000 documents to passages of text."""
    folder = home / "many"
    folder.mkdir()
    for number in range(3000):
        words = [WORDS[(number * 7 + place * (number % 11 + 1)) % len(WORDS)] for place in range(60)]
        (folder / f"{number:04}.txt").write_text(f"Note {number}. The {' '.join(words)} of {number * 37}.")
    spec = {"sources": [str(folder)], "task": "text", "model": str(world.model), "held_out": 0.0}
    job = processes.start(home / "datasets" / "soak", "prepare", spec)
    return _watched(job, 3000, lambda event: event.done if isinstance(event, Progress) else None)


def turns(world: World, home: Path) -> Watched:
    """200 turns of a chat, which is cleared now and then, as its context is small."""
    run = str(world.home / "runs" / "tuned")
    spec = {"voices": [{"name": "tuned", "run": run, "step": None}], "sampling": {}}
    job = processes.start(home / "chats" / "soak", "chat", spec, tied=True)
    for turn in range(200):
        if turn % 8 == 0:
            job.ask(do="clear")
        job.ask(do="ask", text="the quote of a:", max_tokens=8, temperature=0)
    job.ask(do="end")
    count = iter(range(1, 400))
    return _watched(job, 200, lambda event: next(count) if isinstance(event, Replied) else None)


def _watched(job: processes.Job, whole: int, reached: Callable[[object], int | None]) -> Watched:
    looked, end = 0, time.monotonic() + LIMIT
    while (pid := holder.group(job.directory / "lock")) is None:  # the child signs it once it runs
        assert job.alive, f"{job.directory.name} did not begin"
        time.sleep(0.01)
    watched = Watched(psutil.Process(pid))
    while job.alive:
        for event in job.poll():
            done = reached(event)
            if done is not None and done * LOOKS // whole > looked:
                looked = done * LOOKS // whole
                watched.look()
        if time.monotonic() > end:
            job.kill()
        time.sleep(0.01)
    state = history.read(job.directory)
    assert state.status == "done", f"{job.directory.name} is {state.status}: {state.last_word}"
    return watched


def requests(world: World, home: Path, form: str) -> Watched:
    """500 requests to the server of a run, some of which are wrong."""
    run, port = str(world.home / "runs" / "tuned"), str(_free_port())
    environment = {**os.environ, "GEMMALOCAL_HOME": str(world.home)}
    chosen = ["--form", "gguf-Q8_0"] if form == "gguf" else []
    if form == "gguf":
        made = [sys.executable, "-m", "gemmalocal", "export", run, "--to", "gguf"]
        subprocess.run(made, env=environment, capture_output=True, check=False)  # a tiny model may fail its proof
    log = (home / "serve.txt").open("w+")
    command = [sys.executable, "-m", "gemmalocal", "serve", run, *chosen, "--port", port]
    server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        address = _address(home / "serve.txt", server)
        watched = Watched(psutil.Process(server.pid))
        bodies = _bodies()
        with httpx2.Client(base_url=address, timeout=60) as client:
            for number in range(500):
                answer = client.post("/v1/completions", json=next(bodies))
                assert answer.status_code in (200, 400), answer.text
                if number * LOOKS // 500 > (number - 1) * LOOKS // 500:
                    watched.look()
        return watched
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)


def _bodies() -> Iterator[dict[str, object]]:
    while True:
        yield {"prompt": "the quote of a:", "max_tokens": 8, "temperature": 0}
        yield {"prompt": "the quote of b:", "max_tokens": 4, "temperature": 1, "seed": 3}
        yield {"prompt": "the quote", "max_tokens": 4, "stop": ["e"]}
        yield {"prompt": "the quote", "max_tokens": -1}


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _address(log: Path, server: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + 120
    while time.monotonic() < end and server.poll() is None:
        for word in log.read_text().split():
            if word.startswith("http://"):
                return word.rstrip("/.,").removesuffix("/v1")
        time.sleep(0.1)
    raise AssertionError(f"the server does not come up: {log.read_text()}")


PARTS: dict[str, Callable[[World, Path], Watched]] = {
    "2,000 steps": steps,
    "3,000 documents": documents,
    "200 turns of a chat": turns,
    "500 requests (MLX)": lambda world, home: requests(world, home, "adapter"),
    "500 requests (llama.cpp)": lambda world, home: requests(world, home, "gguf"),
}


def main() -> int:
    """Soak each part; 0 if all stayed flat."""
    words = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    words.add_argument("--part", default="", help="only those whose name holds this")
    given = words.parse_args()
    print("| work | memory | descriptors | threads | |\n| --- | --- | --- | --- | --- |")
    flat = True
    with tempfile.TemporaryDirectory() as scratch:
        world = World(Path(scratch) / "world")
        for name, part in PARTS.items():
            if given.part in name:
                home = Path(scratch) / name.replace(" ", "-")
                home.mkdir()
                os.environ["GEMMALOCAL_HOME"] = str(home)
                stayed, line = part(world, home).line(name)
                flat &= stayed
                print(line, flush=True)
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
