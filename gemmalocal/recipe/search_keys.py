"""Which keys of a recipe can be searched, and why the others cannot."""

from __future__ import annotations

import difflib

from gemmalocal.recipe import overrides

RATE, PROMPT_WEIGHT = "train.learning_rate", "train.prompt_weight"
LOOP_KEYS = (RATE, "train.schedule", "train.warmup", "train.batch_size", "train.accumulation")  # of the loop alone
TRAINER_KEYS = (  # these want an adapter, or an optimizer, of their own
    "method", "lora.rank", "lora.alpha", "lora.dropout", "lora.target_modules", "lora.layers",
    "train.optimizer", "train.weight_decay", "train.gradient_clip", "train.seed",
)  # fmt: skip
OBJECTIVE_KEYS = (  # these change what is learned of the rows, not by which loss trials are compared
    "objective.beta", "objective.label_smoothing", "objective.gamma", "objective.desirable_weight",
    "objective.undesirable_weight", "objective.mix",
)  # fmt: skip
KEYS = (*LOOP_KEYS, PROMPT_WEIGHT, *TRAINER_KEYS, *OBJECTIVE_KEYS)

EACH = "begin a run of each, then gemmalocal report RUN --against OTHER"
ONCE = "set it once, for all trials: --set {key}=..."
ROWS, SHAPE, TOLD = (
    "it changes the rows, and losses over other tokens do not compare",
    "it changes memory and time, not what is learned",
    "it changes what is told and kept of a run, not what is learned",
)
LOADED, LENGTH = "the weights are loaded once, as they are in all trials", "the search decides how long a trial is"
# Why not, and what to do instead, by key; of a key that is not named, by its section.
REFUSED = {
    "model": (
        "the weights are loaded once, and losses over two vocabularies do not compare",
        "begin a run of each, and look at what each has gained: gemmalocal report RUN",
    ),
    "backend": (LOADED, EACH),
    "dtype": (LOADED, EACH),
    "quantize": (LOADED, EACH),
    "start_from": ("all trials start from the same weights", EACH),
    "data": (ROWS, EACH),
    "data.rows": (ROWS, "see whether more rows would help: --learning-curve"),
    "objective.kind": ("losses of two objectives do not compare", EACH),
    "teacher": ("the teacher reads the rows once, before all trials", EACH),
    "train.steps": (LENGTH, "say how long the run is: --set {key}=..."),
    "train.epochs": (LENGTH, "say how long the run is: --set {key}=..."),
    "train.minutes": (LENGTH, "say how long all may take: --minutes N"),
    "train.micro_batch": (SHAPE, ONCE),
    "train.checkpointing": (SHAPE, ONCE),
    "train.evaluate_every": (TOLD, ONCE),
    "train.evaluation_rows": ("trials are compared over the same rows", ONCE),
    "train.save_every": (TOLD, ONCE),
    "train.keep": (TOLD, ONCE),
    "train.early_stop": ("trials are measured at their end alone", ONCE),
    "train.report": (TOLD, ONCE),
    "samples": (TOLD, ONCE),
    "report": (TOLD, ONCE),
    "track": (TOLD, ONCE),
    "search": ("it says what is tried", ONCE),
}


def refusal(key: str) -> str:
    """Why a key cannot be searched, and what to do instead; empty if it can be."""
    if key in KEYS:
        return ""
    name = overrides.short(key)
    section = key.partition(".")[0]
    if (named := REFUSED.get(key) or REFUSED.get(section)) is None:
        near = difflib.get_close_matches(key, [*KEYS, *REFUSED], 1)
        hint = f"did you mean '{near[0]}'?" if near else f"these can be searched: {', '.join(KEYS)}"
        return f"there is no key {name}; {hint}"
    why, remedy = named
    return f"{name} cannot be searched, for {why}: {remedy.format(key=name)}"
