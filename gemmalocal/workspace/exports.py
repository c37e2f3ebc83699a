"""Exports as a front end handles them: the forms, what each takes, the job that makes one, and those that a run has.

An export lies in `exports/LABEL` of its run, or where it was wished; the job that makes it in `exporting/LABEL`.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gemmalocal.errors import GemmalocalError, JobBusy, RecipeError
from gemmalocal.files import manifest, staging, targets
from gemmalocal.jobs import history, processes
from gemmalocal.jobs.history import JobState
from gemmalocal.planning import model_sizes

Name = Literal["adapter", "mlx-adapter", "gguf-adapter", "merged", "gguf", "ollama"]
DTYPES = {"bfloat16": 2, "float16": 2, "float32": 4}  # bytes of a number
BITS = (8, 4)
TYPES = {"Q8_0": 8.5, "F16": 16, "BF16": 16, "Q6_K": 6.6, "Q5_K_M": 5.7, "Q4_K_M": 4.9, "Q4_0": 4.55}  # bits of one
INDEX = "model.safetensors.index.json"
TEXTS = ("", ".json", ".md", ".svg", ".jinja", ".txt")  # of files that hold no weights
LEAST = 0.9  # share of the held-out gain below which an export has failed
MADE, JOBS, PROOF = targets.EXPORTS, "exporting", targets.PROOF


@dataclass(frozen=True)
class ExportForm:
    """A form with its details: `dtype` of merged, `bits` of it quantized for MLX, `type` of a GGUF.

    `base` is the GGUF file that a gguf-adapter will lie over, or Ollama's name of it; None is the base's own.
    """

    name: Name
    dtype: str = "bfloat16"
    bits: int | None = None
    type: str = "Q8_0"
    base: str | None = None

    @property
    def detail(self) -> str:
        """What tells it from another of its name."""
        if self.name == "merged":
            return f"{self.bits}bit" if self.bits else self.dtype
        return self.type if self.of_gguf else ""

    @property
    def label(self) -> str:
        """The name of its folder."""
        return f"{self.name}-{self.detail}" if self.detail else self.name

    @property
    def of_weights(self) -> bool:
        """Whether the base's weights are in it, and not the adapter alone."""
        return not self.name.endswith("adapter")

    @property
    def of_gguf(self) -> bool:
        """Whether a GGUF file is in it."""
        return self.name in ("gguf", "ollama")


@dataclass(frozen=True)
class Offer:
    """A form that can be chosen, for whom it is, and its variants, the usual one first."""

    words: str
    forms: tuple[ExportForm, ...]

    @property
    def name(self) -> Name:
        """The form's name."""
        return self.forms[0].name


OFFERS = (
    Offer("The adapter alone, in PEFT's layout: for transformers with PEFT, and for vLLM.", (ExportForm("adapter"),)),
    Offer("The adapter alone, in mlx-lm's layout: for mlx_lm.generate and its server.", (ExportForm("mlx-adapter"),)),
    Offer(
        "The adapter alone as a GGUF, with a Modelfile: for llama.cpp and Ollama over a GGUF of the base, whose few "
        "bits then take nothing of the tune.",
        (ExportForm("gguf-adapter"),),
    ),
    Offer(
        "One whole model: for transformers, vLLM and mlx-lm; with 8 or 4 bits for mlx-lm only.",
        (*(ExportForm("merged", dtype=name) for name in DTYPES), *(ExportForm("merged", bits=bits) for bits in BITS)),
    ),
    Offer(
        "One GGUF file: for llama.cpp, LM Studio and Ollama.", tuple(ExportForm("gguf", type=name) for name in TYPES)
    ),
    Offer(
        "That file with a Modelfile beside it: for ollama create NAME -f Modelfile.",
        tuple(ExportForm("ollama", type=name) for name in TYPES),
    ),
)


def checked_form(form: ExportForm) -> ExportForm:
    """The form; raises `RecipeError` for details that do not go together."""
    if form.type not in TYPES:
        raise RecipeError(f"There is no GGUF type '{form.type}'.", f"Take one of {', '.join(TYPES)}.")
    if form.bits and form.name != "merged":
        raise RecipeError(f"--quantize is for merged, not for {form.name}.", "A GGUF is quantized by its --type.")
    if form.base and form.name != "gguf-adapter":
        raise RecipeError(f"--base is for gguf-adapter, not for {form.name}.", "Leave it out.")
    return form


@dataclass(frozen=True)
class Contents:
    """What an export is made of: weights, those of them in the embedding, and an adapter's bytes."""

    weights: int
    embedding: int
    adapter: int


def size(form: ExportForm, made_of: Contents) -> int:
    """Bytes of an export, headers left out."""
    if not form.of_weights:
        return made_of.adapter
    if form.name == "merged":  # of 64 quantized numbers, a scale and a bias in float32 are kept
        return int(made_of.weights * ((form.bits + 1) / 8 if form.bits else DTYPES[form.dtype]))
    bits = TYPES[form.type]
    head = bits if bits >= TYPES["Q8_0"] else TYPES["Q6_K"]  # the embedding is also the head, and gets more
    return int(((made_of.weights - made_of.embedding) * bits + made_of.embedding * head) / 8)


def offers(spec: dict[str, Any]) -> list[Offer]:
    """The forms for what a run of this recipe makes: a full fine-tune has no adapter."""
    return [offer for offer in OFFERS if spec.get("method") != "full" or offer.forms[0].of_weights]


def contents(run: Path, spec: dict[str, Any]) -> Contents | None:
    """What exports of a run are made of; None where its model's sizes are not known here."""
    sizes = model_sizes.sizes_of(str(spec.get("model")))
    return Contents(sizes.weights, sizes.embedding, folder_bytes(history.result(run))) if sizes else None


def folder_bytes(folder: Path) -> int:
    """Of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def spec(run: Path, form: ExportForm, to: Path | None = None) -> dict[str, Any]:
    """What the job of an export is told."""
    return {
        "run": str(run.absolute()),
        "form": form.name,
        "type": form.type,
        "dtype": form.dtype,
        "bits": form.bits,
        "base": form.base,
        "to": str(targets.resolved(to)) if to else None,
    }


def target(spec: dict[str, Any], label: str) -> Path:
    """Where an export of that spec goes; raises `RecipeError` if it must not."""
    return targets.checked_target(spec["to"] or Path(spec["run"]) / MADE / label, targets.replaceable)


def start(run: Path, form: ExportForm, to: Path | None = None) -> processes.Job:
    """Start the export of a run; the job reads from where its events stand now. Raises `RecipeError`, `JobBusy`."""
    job_spec = spec(run, checked_form(form), to)
    settle(run)
    target(job_spec, form.label)
    old = processes.Job(run / JOBS / form.label)
    if old.directory.is_dir() and old.alive:
        raise JobBusy(f"{run.name} is being exported as {form.label} already.", "Wait until it has ended, or stop it.")
    old.skip()
    job = processes.start(old.directory, "export", job_spec)
    job.skip_to(old)
    return job


@dataclass(frozen=True)
class Export:
    """An export as it was when looked at; `at` is when it last changed (seconds since the epoch).

    `proof` is what its proof.json holds, None as long as there is none; `trouble` is why its newest job did not come
    to a good end.
    """

    label: str
    folder: Path
    job: Path
    state: JobState
    proof: dict[str, Any] | None
    bytes: int
    trouble: GemmalocalError | None
    at: float

    @property
    def live(self) -> bool:
        """Whether it is being made."""
        return self.state.alive

    @property
    def place(self) -> str:
        """Its folder, said from the run's if it is in there."""
        run = self.job.parent.parent
        inside = self.folder.is_relative_to(run)
        return f"{self.folder.relative_to(run)} of the run" if inside else str(self.folder)


def of_run(run: Path) -> list[Export]:
    """The exports of a run, those that are being made first, then the newest."""
    files = [*run.glob(f"{MADE}/*/{PROOF}"), *run.glob(f"{JOBS}/*/job.json")]
    labels = {path.parent.name for path in files if not path.parent.name.startswith(".")}  # aside: not whole yet
    return sorted(
        (_look(run, label) for label in labels), key=lambda export: (not export.live, -export.at, export.label)
    )


def _look(run: Path, label: str) -> Export:
    job, target = run / JOBS / label, run / MADE / label
    state, files = JobState(), [job / "events.jsonl"]
    if (job / "job.json").is_file():
        state = history.read(job)
        to = history.known_spec(job).get("to")
        target = Path(to) if to and isinstance(to, str) else target
    try:
        proof = json.loads((target / PROOF).read_text(encoding="utf-8"))
        files.append(target / PROOF)
    except (OSError, ValueError):
        proof = None
    trouble = history.trouble(job, state)
    if proof is not None and (problem := harm(target)):
        proof, trouble = None, GemmalocalError(f"It is not whole: {problem}.", "Export it again.")
    at = max((file.stat().st_mtime for file in files if file.exists()), default=0.0)
    size_in_bytes = folder_bytes(target) if proof else 0
    return Export(label, target, job, state, proof, size_in_bytes, trouble, at)


def harm(folder: Path) -> str | None:
    """Why an export is not whole, in words, by what its manifest says of names and sizes; None if it is.

    One of an older version, which has no manifest, must have its weights, and all files that their index names.
    """
    if entries := manifest.read(folder):
        return manifest.missing(folder, entries)
    if (folder / manifest.MANIFEST).exists():
        return "its list of files is damaged"
    try:
        files = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
        index = json.loads((folder / INDEX).read_text(encoding="utf-8")) if INDEX in files else {"weight_map": {}}
        missing = sorted(set(index["weight_map"].values()) - files.keys())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return f"{INDEX} cannot be read"
    if missing or not any(size and Path(name).suffix not in TEXTS for name, size in files.items()):
        return f"{missing[0] if missing else 'the file of its weights'} is missing"
    return None


def settle(run: Path) -> None:
    """Put back the exports of a run that were being replaced when a kill came, and remove what it left half done."""
    for job in run.glob(f"{JOBS}/*"):
        with suppress(GemmalocalError, OSError, ValueError, LookupError, TypeError):
            if to := history.spec(job)["to"]:
                staging.settle(Path(to))
    staging.sweep(run / MADE)
    if not busy(run):
        for place in (run / MADE).glob("tmp????????"):  # float32 copies of older versions
            staging.discard(place)


def labels(run: Path) -> list[str]:
    """Those of the exports that a run has, in their order."""
    return sorted(proof.parent.name for proof in (run / MADE).glob(f"[!.]*/{PROOF}"))


def whole_label(run: Path, form: str) -> str | None:
    """The label of an export by itself or its beginning (`gguf`); None if there is none, `RecipeError` for several."""
    exported = labels(run)
    fitting = [form] if form in exported else [label for label in exported if name_of(label) == form]
    if len(fitting) > 1:
        raise RecipeError(f"{run.name} has {' and '.join(fitting)}.", f"Name one whole: --form {fitting[0]}")
    return fitting[0] if fitting else None


def name_of(label: str) -> str:
    """The form's name in an export's label, or in the beginning of one."""
    return label if label.endswith("adapter") else label.partition("-")[0]


def busy(run: Path) -> bool:
    """Whether an export of the run is being made."""
    return any(processes.Job(lock.parent).alive for lock in run.glob(f"{JOBS}/*/lock"))
