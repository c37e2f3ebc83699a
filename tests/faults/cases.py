"""One fault, drawn by a seed and a number, put in the way of a job; and whether what came of it is as it should be."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from gemmalocal.errors import USAGE
from gemmalocal.files import paths
from gemmalocal.files.manifest import MANIFEST
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Failed
from gemmalocal.workspace import datasets, exports, preparations
from tests.faults import damage
from tests.faults.attempt import NOTHING, Ended, Task, attempt, begin
from tests.faults.inject import Injection, Way
from tests.faults.parts import PARTS, Hashes, Part, World, hashes

FAULTS = (
    "full disk",
    "read-only disk",
    "broken disk",
    "long file",
    "two at once",
    *("harm", "kill") * 4,
    *("moment",) * 3,
)
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
TRIES = 3  # attempts without a fault in which a job must come to its end
SAFE = ("checkpoints", "examples", "exports")  # what is in these has checksums: no harm may go unseen
ASIDE = "."  # how the names of what is not whole yet begin


@dataclass
class Truth:
    """What a part makes with nothing in its way, and of what older product it may begin."""

    new: Hashes
    older: Hashes
    losses: list[float]
    changes: int
    seconds: float
    longest: int  # bytes of the longest file that it writes


@dataclass
class Outcome:
    """What came of a case: nothing in `wrong` if all is as it should be."""

    number: int
    part: str
    fault: str
    said: str
    wrong: list[str] = field(default_factory=list)


class Bench:
    """The world, and the truth of each part, found when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.world = folder, World(folder / "world")
        self._truths = dict[str, Truth]()

    def truth(self, part: Part) -> Truth:
        """What a part makes undisturbed; raises `AssertionError` where even that goes wrong."""
        if part.name not in self._truths:
            home = self.folder / "truth"
            part.workspace(self.world, home)
            older, task = hashes(part.product(home)), part.task(self.world, home)
            ended = attempt(task, Injection("count"))
            assert ended.code == 0, f"{part.name} fails undisturbed: {_last_words(task)}"
            longest = max((file.stat().st_size for file in home.rglob("*") if file.is_file()), default=1)
            self._truths[part.name] = Truth(
                hashes(part.product(home)), older, _losses(task), ended.changes, ended.seconds, longest
            )
            shutil.rmtree(home)
        return self._truths[part.name]

    def run(self, number: int, seed: int, only: str | None = None) -> Outcome:
        """The case of a number: drawn, run and judged."""
        random = Random(f"{seed}/{number}")
        parts = [part for part in PARTS if only is None or part.name.startswith(only)]
        part = random.choices(parts, [part.weight for part in parts])[0]
        fault = random.choice(FAULTS)
        home = self.folder / f"case-{number}"
        part.workspace(self.world, home)
        os.environ["GEMMALOCAL_HOME"] = str(home)
        case = Case(self, part, home, random)
        outcome = Outcome(number, part.name, fault, "")
        try:
            outcome.said = case.disturb(fault)
            outcome.wrong += case.standing()
            outcome.wrong += case.healed()
        except TimeoutError as error:
            outcome.wrong.append(str(error))
        if not outcome.wrong:
            shutil.rmtree(home)
        return outcome


class Case:
    """A job in a workspace of its own, and what was done to it."""

    def __init__(self, bench: Bench, part: Part, home: Path, random: Random) -> None:
        self._part, self._home, self._random = part, home, random
        self._task, self._truth = part.task(bench.world, home), bench.truth(part)
        self._harmed: Path | None = None

    def disturb(self, fault: str) -> str:
        """Put the fault in the job's way; what it was, in words."""
        match fault:
            case "harm":
                return self._harm()
            case "two at once":
                ends = [process.wait() for process in (begin(self._task), begin(self._task))]
                return f"two at once: {' and '.join(str(end.code) for end in ends)}"
            case _:
                injection = self._drawn(fault)  # type: ignore[arg-type]
                ended = attempt(self._task, injection)
                return f"{injection}: exit {ended.code}"

    def _drawn(self, way: Way) -> Injection:
        if way == "moment":
            return Injection(way, self._random.uniform(0, 1.1 * self._truth.seconds), self._random.choice(SIGNALS))
        if way == "long file":
            return Injection(way, int(self._truth.longest ** self._random.uniform(0.3, 1)))
        return Injection(way, self._random.randint(1, max(1, self._truth.changes)))

    def _harm(self) -> str:
        """Let the job come to its end, or be killed on the way; then harm one of the files that there are."""
        before = set(damage.files(self._home))
        injection = NOTHING if self._random.random() < 0.5 else self._drawn("kill")
        attempt(self._task, injection)
        there = [file for file in damage.files(self._home) if file not in before]
        if not there:
            return f"{injection}, and nothing to harm"
        self._harmed = self._random.choice(there)
        return f"{injection}, then {damage.harm(self._harmed, self._random.choice(damage.HARMS), self._random)}"

    def standing(self) -> Iterator[str]:
        """What is wrong right after the fault."""
        yield from _lists(self._home)
        yield from self._words()
        product = hashes(self._part.product(self._home))
        if self._part.whole and self._harmed is None and product not in ({}, self._truth.new, self._truth.older):
            yield f"half a product: {_difference(product, self._truth.new)}"
        if self._truth.older and not product and self._harmed is None and self._truth.new and not self._kept_aside():
            yield "the older product is gone, and the new one is not there"

    def _kept_aside(self) -> bool:
        place = self._part.product(self._home).parent
        return any(hashes(path) == self._truth.older for path in place.iterdir() if path.name.startswith(ASIDE))

    def healed(self) -> Iterator[str]:
        """What is wrong once the job was begun again, with nothing in its way."""
        task = self._task if self._part.repeats else self._anew()
        ended = Ended(1, 0, 0)
        for _ in range(TRIES):
            ended = attempt(task)
            if ended.code == 0:
                break
        yield from self._words()
        yield from _lists(self._home)
        if ended.code == USAGE and self._truth.new and hashes(self._part.product(self._home)) == self._truth.new:
            return  # it was whole already, and is not written over
        if ended.code != 0:
            if self._harmed is None:
                yield f"it does not come to its end: exit {ended.code}, {_last_words(task)}"
            elif ended.code < 0 or (task.deed is None and not _failed(task)):
                yield f"it ends without a word: exit {ended.code}"
            return
        harmless = self._harmed is None or any(name in self._harmed.parts for name in SAFE)
        product = hashes(self._part.product(self._home))
        if harmless and product != self._truth.new:
            yield f"another product: {_difference(product, self._truth.new)}"
        if harmless and _losses(task) != self._truth.losses:
            yield "other losses than those of the undisturbed run"
        if self._part.repeats and (litter := _litter(self._home)):
            yield f"left behind: {', '.join(litter)}"

    def _anew(self) -> Task:
        directory = self._task.directory
        return self._task._replace(directory=directory.with_name(f"{directory.name}-2"))

    def _words(self) -> Iterator[str]:
        """Any last word that is no sentence for a person."""
        if (last := _failed(self._task)) and last.message.startswith("Something unexpected went wrong"):
            yield last.message


def _lists(home: Path) -> Iterator[str]:
    """What a front end would show of a workspace; none of it may raise, whatever lies there."""
    try:
        for folder in history.list_runs():
            history.read(folder)
            exports.of_run(folder)
        for folder in preparations.list_all():
            history.read(folder)
            datasets.report(folder)
        for chat in paths.chats().glob("*"):
            history.read(chat)
    except Exception as error:
        yield f"a list raises {type(error).__name__}: {error}"


def _failed(task: Task) -> Failed | None:
    word = history.read(task.directory).last_word
    return word if isinstance(word, Failed) else None


def _last_words(task: Task) -> str:
    word: Any = history.read(task.directory).last_word
    return getattr(word, "message", "no word")


def _losses(task: Task) -> list[float]:
    state = history.read(task.directory)
    return [step.loss for step in state.steps] + [item.loss for item in state.evaluations]


def _difference(product: Hashes, truth: Hashes) -> str:
    said = []
    for name in sorted(product.keys() | truth.keys()):
        if name not in product or name not in truth:
            said.append(f"{name} is {'not there' if name in truth else 'too much'}")
        elif product[name] != truth[name]:
            said.append(f"{name} differs")
    return ", ".join(said[:4])


def _litter(home: Path) -> list[str]:
    hidden = [path for path in home.rglob(".*") if path.name != MANIFEST]
    return sorted(str(path.relative_to(home)) for path in hidden)[:4]
