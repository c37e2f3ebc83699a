"""The card of an export: what it is, of what, how it was made, what was measured and what not, how to use it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from gemmalocal import __version__
from gemmalocal.export.proof import Proof
from gemmalocal.export.source import FinishedRun
from gemmalocal.files import paths
from gemmalocal.jobs import history, judged
from gemmalocal.jobs.history import JobState
from gemmalocal.jobs.loss_words import loss_text
from gemmalocal.jobs.plurals import plural
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.teacher import SELF
from gemmalocal.workspace import datasets, ratings, reports
from gemmalocal.workspace.exports import ExportForm

LIBRARIES = {"adapter": "peft", "mlx-adapter": "mlx", "merged": "transformers"}
USES = {
    "adapter": """With PEFT:

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("{base}"), "PATH_OF_THIS_FOLDER")
```""",
    "mlx-adapter": "With mlx-lm: `mlx_lm.generate --model {base} --adapter-path PATH_OF_THIS_FOLDER --prompt ...`",
    "gguf-adapter": """With llama.cpp, over a GGUF of {base}: `llama-cli -m BASE.gguf --lora {file}`.
Ollama: name the base's file in the Modelfile's first line, then `ollama create NAME -f Modelfile`.""",
    "merged": """With transformers: `AutoModelForCausalLM.from_pretrained("PATH_OF_THIS_FOLDER")`.
With mlx-lm: `mlx_lm.generate --model PATH_OF_THIS_FOLDER --prompt ...`""",
    "merged-quantized": "With mlx-lm: `mlx_lm.generate --model PATH_OF_THIS_FOLDER --prompt ...`",
    "gguf": """With llama.cpp: `llama-cli -m {file}`. LM Studio finds it in its models folder (owner/name/{file}).
Ollama: `ollama create NAME -f Modelfile` with a Modelfile that says `FROM ./{file}`.""",
    "ollama": "`ollama create NAME -f Modelfile` in this folder, then `ollama run NAME`. Others read {file}.",
}


def card(finished: FinishedRun, state: JobState, form: ExportForm, proof: Proof, folder: Path) -> str:
    """README.md of the export in `folder`; no path of this machine and nothing secret is in it."""
    base = _base(finished)
    data = ModelCardData(
        license=finished.licence.key,
        base_model=base if "/" in base and not Path(base).exists() else None,
        library_name="mlx" if form.bits else LIBRARIES.get(form.name, "gguf"),
        pipeline_tag="text-generation",
        tags=["gemma", "gemmalocal", *(["lora"] if finished.adapter else [])],
    )
    file = next((path.name for path in folder.glob("*.gguf")), "")
    use = USES["merged-quantized" if form.bits else form.name].format(base=base, file=file)
    text = "\n\n".join(
        [
            f"---\n{data.to_yaml()}\n---",
            f"# {finished.run.name}",
            f"{base}, tuned by [gemmalocal](https://pypi.org/project/gemmalocal/) {__version__}; this is its "
            f"`{form.label}` form.{_learned(finished)} {finished.licence.terms}.",
            "## How to use it\n\n" + use,
            "## Did the tune help?\n\n" + _verdict(finished.run),
            "## Does it hold the tune?\n\n" + _proof(proof),
            "## Losses\n\n" + _losses(state),
            "## Before and after\n\n" + _samples(state),
            "## How it was made\n\n" + _provenance(finished),
            "## Not measured\n\nOnly held-out rows of the same data, and what is above. Nothing here says "
            "how the model does on other tasks, or whether what it says is true or harmless.",
        ]
    )
    return str(ModelCard(text + "\n"))


def _learned(finished: FinishedRun) -> str:
    """From what it learned, where that is more than answers to imitate."""
    objective = finished.recipe.objective
    if objective.kind == "sft":
        return ""
    settings = ", ".join(f"{name} {value:g}" for name, value in objective.settings.items())
    teacher = finished.recipe.teacher
    if teacher.model is not None:
        name = f"{_base(finished)} itself, shown each row," if teacher.model == SELF else Path(teacher.model).name
        return (
            f" It learned what {name} says of each token of the rows ({settings}, its "
            f"{teacher.keep} likeliest ids kept, temperature {teacher.temperature:g})."
        )
    answers = "pairs of a better and a worse answer" if objective.paired else "answers that were rated good or bad"
    start = finished.recipe.start_from
    before = f", from where {Path(start).name} had ended" if start else ""
    return f" It learned from {answers} by {objective.kind.upper()} ({settings}){before}."


def _verdict(run: Path) -> str:
    """What the newest report says, where there is one."""
    figures = reports.figures(run)
    return str(figures["sentence"]) if figures else "That was not measured (`gemmalocal report` does it)."


def _base(finished: FinishedRun) -> str:
    """The base's name; of a folder its last part, since the rest is somebody's home."""
    return Path(finished.recipe.model).name if Path(finished.recipe.model).is_absolute() else finished.recipe.model


def _proof(proof: Proof) -> str:
    share = "no gain to keep" if proof.kept is None else f"{100 * proof.kept:.1f} %"
    rows = [
        f"Read again ({proof.reader}), over the {proof.tokens} supervised "
        f"{plural(proof.tokens, 'token')} of the held-out rows:",
        "| | loss, nats a token |\n| --- | --- |\n"
        f"| base | {proof.base:.4f} |\n| tuned, before the export | {proof.tuned:.4f} |\n"
        f"| this export | {proof.exported:.4f} |",
        f"Share of the gain that it kept: **{share}**, and of the shift of logits {100 * proof.carried:.0f} %"
        f"{'' if proof.passed else ': it FAILED'}. Mean difference of logits: {proof.logit_difference:.2g}. Greedy "
        "answers that are the same: "
        f"{sum(answer.same for answer in proof.answers)} of {len(proof.answers)}.",
    ]
    return "\n\n".join(rows)


def _losses(state: JobState) -> str:
    rows = "\n".join(
        f"| {evaluation.step} | {loss_text(evaluation.loss, 4)} | {judged.sentence(evaluation.preference)} |"
        for evaluation in state.evaluations[-20:]
    )
    return f"![losses](losses.svg)\n\n| step | held-out loss | answers that were judged |\n| --- | --- | --- |\n{rows}"


def _samples(state: JobState) -> str:
    answers: dict[str, dict[str, str]] = {}
    for sample in state.samples:
        answers.setdefault(sample.prompt, {})[sample.when] = sample.shown
    sections = [
        f"Prompt: `{prompt!r}`\n\n- before: `{texts.get('before', '')!r}`\n- after: `{texts.get('after', '')!r}`"
        for prompt, texts in answers.items()
    ]
    return "\n\n".join(sections) or "The recipe asked for no samples."


def _provenance(finished: FinishedRun) -> str:
    shown = finished.recipe.model_dump(mode="json")
    for section, key in ((shown, "model"), (shown["data"], "path"), (shown["teacher"], "model")):
        if isinstance(section[key], str) and Path(section[key]).is_absolute():
            section[key] = Path(section[key]).name
    if shown["train"]["learning_rate"] == "auto":  # what that means may change
        shown["train"]["learning_rate"] = history.read(finished.run).plan.get("learning_rate", "auto")
    recipe = type(finished.recipe).model_validate(shown)
    store = finished.run / "examples"
    return (
        f"Data: `{shown['data']['path']}`, as tokens sha256 `{_hash(store)}`.{_rated(finished)}\n\n"
        f"Versions: {_versions(finished.run)}.\n\n```yaml\n{recipe_file.dump(recipe)}```"
    )


def _rated(finished: FinishedRun) -> str:
    """What a person said of the rows of prepared datasets, as they are now."""
    named = [Path(source.path) for source in finished.recipe.data.sources]
    folders = [path if path.is_absolute() else paths.datasets() / path for path in named]
    said = [ratings.sentence(folder) for folder in folders if datasets.ours(folder)]
    return "".join(f" Of its rows {sentence.replace(' by you', ' by a person')}." for sentence in said if sentence)


def _hash(store: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(store.iterdir()):
        if path.suffix != ".txt":
            with path.open("rb") as file:
                while block := file.read(1 << 22):
                    digest.update(block)
    return digest.hexdigest()[:16]


def _versions(run: Path) -> str:
    first_line = (run / "events.jsonl").open(encoding="utf-8").readline()
    versions: dict[str, Any] = json.loads(first_line).get("versions", {})
    return ", ".join(f"{name} {version}" for name, version in versions.items())
