"""A run to a folder for other programs, with the proof that the tune is in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gemmalocal.backends import convert_adapter, open_backend
from gemmalocal.data import chat_template
from gemmalocal.errors import GemmalocalError, ModelError
from gemmalocal.export import forms, gguf_adapter, gguf_write, llama_reader, ollama, ollama_tools
from gemmalocal.export.card import card
from gemmalocal.export.curve import curve
from gemmalocal.export.gguf_write import Plan
from gemmalocal.export.source import FinishedRun
from gemmalocal.files import atomic, manifest, staging, targets
from gemmalocal.files.sizes import size
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Event, Finished, Notice, Report, Stage
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.background import Stopped, in_background
from gemmalocal.pipelines.shared.export_proof import prove
from gemmalocal.pipelines.shared.run_source import open_run
from gemmalocal.planning import hardware, throughput
from gemmalocal.records import Tell
from gemmalocal.weights import gguf_place
from gemmalocal.weights.tensors import Tensor
from gemmalocal.workspace import exports
from gemmalocal.workspace.exports import ExportForm

BYTES_PER_SECOND = 100e6  # that writing and reading again manage, roughly
WEIGHTS_PER_SECOND = 6e9  # bytes of weights that llama.cpp reads while it answers token by token, roughly


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """`spec`: run (its folder), form, and that form's details; into exports/ of the run, unless `to` names a folder."""
    form = exports.checked_form(ExportForm(spec["form"], spec["dtype"], spec["bits"], spec["type"], spec.get("base")))
    try:
        yield Stage("finding the model")
        finished = yield from in_background(lambda tell: open_run(Path(spec["run"]), tell), commands)
        base_file: Path | None = None
        if form.name == "gguf-adapter":
            base_file = yield from in_background(lambda tell: _base_file(form, finished, tell), commands)
            yield from map(Notice, _about_base(base_file))
        target = exports.target(spec, form.label)
        target.parent.mkdir(parents=True, exist_ok=True)
        model_tensors = finished.tensors() if form.of_weights else []
        plan = gguf_write.plan(finished.model_folder, model_tensors, form.type) if form.of_gguf else None
        needed = plan.size if plan else forms.needed(form, model_tensors, finished.adapter)
        remedy = "Make room, or name a folder on another disk (--folder)."
        hardware.check_room(target.parent, needed, "The export takes about", remedy)
        duration = throughput.duration(_seconds(finished.run, needed, base_file))
        yield Notice(f"about {size(needed)} in {target}; {duration} or so, with the proof")
        for (preferred, stored_as), count in plan.fallbacks.items() if plan else ():
            yield Notice(f"{count} tensors as {stored_as.name}: their rows do not fit {preferred.name}")
        with atomic.new_folder(target, targets.replaceable) as aside:
            yield Stage(f"writing {form.label}")
            yield from in_background(
                lambda tell: _write(form, finished, plan or model_tensors, aside, tell, base_file), commands
            )
            yield Stage("reading it again, for the proof")
            proof = yield from in_background(lambda tell: prove(form, finished, aside, tell, base_file), commands)
            (aside / exports.PROOF).write_text(json.dumps(proof.as_dict(), indent=2, ensure_ascii=False), "utf-8")
            state = history.read(finished.run)
            (aside / "losses.svg").write_text(curve(state), encoding="utf-8")
            (aside / "README.md").write_text(card(finished, state, form, proof, aside), encoding="utf-8")
            yield from in_background(lambda tell: manifest.write(aside), commands)
    except Stopped:
        yield Finished("stopped", "nothing was kept")
        return
    yield Report({"path": str(target), "form": form.label, "bytes": exports.folder_bytes(target), **proof.as_dict()})
    if not proof.passed:
        raise GemmalocalError(
            f"The export lost what was learned: {_share(proof.kept)} of its gain, "
            f"{_share(proof.carried)} of its shift left.",
            proof.remedy,
        )
    yield Finished("done", f"{form.label} in {target}")


def _seconds(run: Path, needed: int, base_file: Path | None) -> float:
    """How long writing `needed` bytes will take, and asking base, tuned and exported for all held-out rows.

    An adapter over a `base_file` is asked by llama.cpp, which is told each token alone and reads the weights each time.
    """
    state = history.read(run)
    looked_at = state.evaluations[-1].tokens if state.evaluations else 0
    proof = throughput.Pace(run.name, "", throughput.seconds_per_token(state.steps) or 0.0).estimate(0, 0, 3, looked_at)
    if base_file is not None and llama_reader.installed():
        alone = min(looked_at, llama_reader.MOST_TOKENS)
        proof += alone * base_file.stat().st_size / WEIGHTS_PER_SECOND
    return max(1.0, 3 * needed / BYTES_PER_SECOND + proof)


def _base_file(form: ExportForm, finished: FinishedRun, tell: Tell) -> Path | None:
    """The GGUF that the adapter will lie over; raises `ModelError` for one of another kind of model."""
    adapter = _adapter(finished)
    gguf_adapter.check(adapter, finished.base)
    file = gguf_place.named(form.base) if form.base else gguf_place.origin(finished.base, tell)
    if file is not None:
        gguf_adapter.check_base(file, finished.base)
    return file


def _about_base(file: Path | None) -> Iterator[str]:
    """What a person must know of the base that an adapter will lie over."""
    if file is None:
        yield "no GGUF of the base is known here: name yours (--base), and the proof is held over it"
    elif not llama_reader.installed():
        yield "llama.cpp is not installed (pip install xllamacpp): the engine reads the file again in its place"


def _write(
    form: ExportForm,
    finished: FinishedRun,
    content: Plan | Sequence[Tensor],
    aside: Path,
    tell: Tell,
    base_file: Path | None = None,
) -> None:
    """`content` is a GGUF's plan, or the tensors of another form."""
    if isinstance(content, Plan):
        tokenizer = finished.tokenizer
        # What Ollama's language cannot say is told before the work.
        template, renderer = "", ""
        if form.name == "ollama":
            template, renderer = ollama_tools.written(tokenizer, finished.layout(tokenizer))
        file = forms.write_gguf(aside, finished.model_folder, content, finished.run.name, tell, finished.chat_template)
        if form.name == "ollama":
            parameters = {"temperature": 0.7}
            text = ollama.modelfile(
                f"./{file.name}", template, tokenizer, finished.licence, parameters, renderer=renderer
            )
            (aside / "Modelfile").write_text(text, encoding="utf-8")
    elif form.name == "adapter":
        for path in _adapter(finished).iterdir():
            shutil.copyfile(path, aside / path.name)
    elif form.name == "gguf-adapter":
        gguf_adapter.deliver(finished, _adapter(finished), form.base, base_file, aside, tell)
    elif form.name == "mlx-adapter":
        config = json.loads((finished.base / "config.json").read_text(encoding="utf-8"))
        convert_adapter.to_mlx(_adapter(finished), config, aside)
    elif form.bits:
        with staging.folder(aside / "float32") as scratch:
            merged, quantized = scratch / "whole", scratch / "small"
            merged.mkdir()
            forms.write_merged(merged, finished.model_folder, content, "float32", tell)
            open_backend("mlx").quantize(merged, quantized, form.bits)  # type: ignore[attr-defined]
            for path in quantized.iterdir():
                path.rename(aside / path.name)
        _add_chat_template(finished, aside)
    else:
        forms.write_merged(aside, finished.model_folder, content, form.dtype, tell)
        _add_chat_template(finished, aside)


def _add_chat_template(finished: FinishedRun, folder: Path) -> None:
    """Give a model's folder the chat template of the run's rows, if its base does not bring it."""
    if (template := finished.chat_template) is not None:
        (folder / chat_template.OWN).write_text(template, encoding="utf-8")


def _adapter(finished: FinishedRun) -> Path:
    if finished.adapter is None:
        raise ModelError("A full fine-tune has no adapter.", "Export it as merged or gguf.")
    return finished.adapter


def _share(kept: float | None) -> str:
    return "none" if kept is None else f"{100 * kept:.0f} %"
