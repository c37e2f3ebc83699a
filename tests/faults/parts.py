"""The kinds of job that faults are put in the way of: what each needs, what it makes, and how it is gone on with."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gguf import GGMLQuantizationType

from gemmalocal.files import staging
from gemmalocal.jobs import history
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.records import TRAIN_FILE
from gemmalocal.workspace import datasets, exports, runs
from tests import conftest
from tests.faults.attempt import Task, attempt
from tests.weights import ggufs

DOCUMENTS = {
    "lamp": """# The lamp

The lamp is a paraffin burner with six wicks. It stands inside a lens of 172 glass prisms that was made in 1871.

# The keepers

Three keepers serve the station in watches of four hours. The principal keeper writes the journal every evening.
""",
    "bees": """# The hives

A hive is a stack of wooden boxes with frames that hold the comb. Eight hives stand along the wall of the garden.

# Honey

Honey is made from nectar that workers dry in the comb. The first honey is taken in the last week of June.
""",
    "mill": """# The wheel

The wheel of the mill is driven by the brook behind the house. It turns seven times in a minute when the water is high.

# The stones

The lower stone is called the bedder and lies still. The upper stone is a runner that weighs more than a ton.
""",
}
PRODUCTS = (".safetensors", ".gguf", ".jsonl", ".bin", "Modelfile", "config.json", "by_hand.json")
OF_THE_JOB = ("events.jsonl", "inbox.jsonl", "refused.jsonl", "warnings.jsonl")
Hashes = dict[str, str]


@dataclass
class World:
    """What the jobs work on, made once: a tiny model, rows, documents, a GGUF file, and workspaces to copy."""

    folder: Path
    model: Path = field(init=False)
    home: Path = field(init=False)

    def __post_init__(self) -> None:
        self.home = self.folder / "template"
        self.model = self.folder / "model"
        self.model.mkdir(parents=True)
        conftest.write_tiny(self.model)
        rows = [
            {"prompt": f"{'the quote ' * (number % 5)}of {chr(97 + number % 26)}:", "completion": f" and x{number}."}
            for number in range(40)
        ]
        (self.folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
        documents = self.folder / "documents"
        documents.mkdir()
        for name, text in DOCUMENTS.items():
            (documents / f"{name}.md").write_text(text)
        ggufs.write(self.folder / "tiny.gguf", "gemma3", GGMLQuantizationType.Q8_0)
        for name, rate in (("older", "3e-3"), ("tuned", "1e-2")):
            attempt(Task(self.home, self.home / "runs" / name, "train", self.recipe(f"train.learning_rate={rate}")))
            assert history.result(self.home / "runs" / name).is_dir()
        dataset = _prepare(self, self.home)
        attempt(dataset)
        rows = datasets.read(dataset.directory / TRAIN_FILE)
        datasets.drop(dataset.directory, TRAIN_FILE, rows[-1])

    def recipe(self, *overrides: str) -> dict[str, Any]:
        """Six steps of training with dropout, saved and evaluated on the way, as a job is told it."""
        path = self.folder / "tiny.yaml"
        path.write_text(
            f"model: {self.model}\ndata: {{path: {self.folder / 'rows.jsonl'}, max_length: 64, split: 0.2}}\n"
            "lora: {rank: 4, alpha: 8, dropout: 0.1}\n"
            "train: {steps: 6, batch_size: 4, learning_rate: 1e-2, evaluate_every: 3, save_every: 2, keep: 2}\n"
            "samples: {prompts: ['the quote of a:'], max_tokens: 3}\n"
        )
        spec: dict[str, Any] = recipe_file.load(str(path), overrides).model_dump(mode="json")
        return spec


@dataclass(frozen=True)
class Part:
    """A kind of job.

    `task` makes it in a workspace; `product` is the folder of what it makes there; `needs` are the folders of the
    template that its workspace begins with; `before` puts an older product there; `weight` is its share of the faults.
    A part that does not `repeat` answers once, and is begun anew. A product that is not `whole` comes file by file.
    """

    name: str
    task: Callable[[World, Path], Task]
    product: Callable[[Path], Path]
    needs: tuple[str, ...] = ()
    before: Callable[[World, Path], None] | None = None
    weight: int = 1
    repeats: bool = True
    whole: bool = True

    def workspace(self, world: World, home: Path) -> None:
        """Lay out a workspace for one case."""
        home.mkdir(parents=True)
        for name in self.needs:
            shutil.copytree(world.home / name, home / name)
        if self.before is not None:
            self.before(world, home)


def hashes(folder: Path) -> Hashes:
    """Of the files that make a product; what tells of it (a card, a curve, a proof's time) may differ."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name.endswith(PRODUCTS)]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name not in OF_THE_JOB and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def _train(world: World, home: Path) -> Task:
    return Task(home, home / "runs" / "new", "train", world.recipe())


def _export(form: exports.ExportForm) -> Callable[[World, Path], Task]:
    def task(world: World, home: Path) -> Task:
        run = home / "runs" / "tuned"
        return Task(home, run / exports.JOBS / form.label, "export", exports.spec(run, form))

    return task


def _older_export(form: exports.ExportForm) -> Callable[[World, Path], None]:
    """The same form, exported of the older run, lies where the new one will."""

    def before(world: World, home: Path) -> None:
        made = world.folder / f"older-{form.label}"
        run = home / "runs" / "tuned"
        if not made.exists():
            older = world.home / "runs" / "older"
            attempt(Task(world.home, older / exports.JOBS / form.label, "export", exports.spec(older, form)))
            shutil.copytree(older / exports.MADE / form.label, made)
        shutil.copytree(made, run / exports.MADE / form.label)

    return before


def _exports(form: exports.ExportForm) -> Callable[[Path], Path]:
    return lambda home: home / "runs" / "tuned" / exports.MADE / form.label


def _import(world: World, home: Path) -> Task:
    return Task(
        home, home / "errands" / "import", "import_gguf", {"file": str(world.folder / "tiny.gguf"), "name": "x"}
    )


def _prepare(world: World, home: Path) -> Task:
    wanted = Preparation(
        sources=[str(world.folder / "documents")], author="rules", model=str(world.model), held_out=0.3
    )
    return Task(home, home / "datasets" / "made", "prepare", wanted.model_dump(mode="json"))


def _by_hand(world: World, home: Path) -> Task:
    """A row is edited, the next is dropped, and one that was dropped before is taken back."""
    folder = home / "datasets" / "made"
    first, second = datasets.read(folder / TRAIN_FILE)[:2]
    back = next(row for row in datasets.read(folder / datasets.REJECTED) if row["reason"] == datasets.DROPPED)

    def deed() -> None:
        with datasets.changing(folder):  # what was cut short comes to its end
            pass
        if first in datasets.read(folder / TRAIN_FILE):
            datasets.edit(folder, TRAIN_FILE, first, "another answer")
        if second in datasets.read(folder / TRAIN_FILE):
            datasets.drop(folder, TRAIN_FILE, second)
        if back in datasets.read(folder / datasets.REJECTED):
            datasets.accept(folder, [back])

    return Task(home, folder, deed=deed)


def _delete(world: World, home: Path) -> Task:
    folder = home / "runs" / "tuned"
    return Task(home, folder, deed=lambda: runs.delete(folder) if folder.exists() else staging.tidy())


def _convert(world: World, home: Path) -> Task:
    spec = {"path": str(world.folder / "rows.jsonl"), "form": "hub", "out": str(home / "out"), "name": "rows"}
    return Task(home, home / "errands" / "convert", "convert", spec)


def _adapter(world: World, home: Path) -> Task:
    source = home / "runs" / "tuned" / "adapter"
    spec = {"source": str(source), "target": str(home / "out"), "to": "mlx-lm", "model": None}
    return Task(home, home / "errands" / "adapter", "adapter", spec)


def _check(world: World, home: Path) -> Task:
    return Task(home, home / "errands" / "check", "check", world.recipe())


def _chat(world: World, home: Path) -> Task:
    run = str(home / "runs" / "tuned")
    speakers = [{"name": "base", "run": run, "base": True}, {"name": "tuned", "run": run, "step": None}]
    ask = {"do": "ask", "text": "the quote of a:", "max_tokens": 4, "temperature": 0}
    vote = {"do": "vote", "voice": "tuned", "turn": 1}
    spec = {"voices": speakers, "sampling": {}}
    return Task(home, home / "chats" / "chat", "chat", spec, (ask, vote, ask, {"do": "save"}, {"do": "end"}))


def _export_part(form: exports.ExportForm, weight: int, replaced: bool) -> Part:
    name = f"export {form.label}" + (", replaced" if replaced else "")
    before = _older_export(form) if replaced else None
    return Part(name, _export(form), _exports(form), ("runs/tuned",), before, weight)


ADAPTER, MERGED, GGUF = exports.ExportForm("adapter"), exports.ExportForm("merged"), exports.ExportForm("gguf")
PARTS = (
    Part("train", _train, lambda home: home / "runs" / "new" / "adapter", weight=10),
    _export_part(ADAPTER, 2, False),
    _export_part(ADAPTER, 4, True),
    _export_part(MERGED, 1, True),
    _export_part(GGUF, 1, True),
    Part("import", _import, lambda home: home / "models" / "x", weight=3),
    Part("prepare", _prepare, lambda home: home / "datasets" / "made", weight=4, whole=False),
    Part("rows by hand", _by_hand, lambda home: home / "datasets" / "made", ("datasets/made",), weight=2, whole=False),
    Part("delete a run", _delete, lambda home: home / "runs" / "tuned", ("runs/tuned",)),
    Part("convert", _convert, lambda home: home / "out"),
    Part("adapter", _adapter, lambda home: home / "out", ("runs/tuned",)),
    Part("check", _check, lambda home: home / "nothing", repeats=False),
    Part("chat", _chat, lambda home: home / "nothing", ("runs/tuned",), weight=2, repeats=False),
)
