"""What a run learns from: answers to imitate, judgements of them, or a teacher; and the settings of each objective."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from gemmalocal.recipe.overrides import LENGTHS
from gemmalocal.recipe.section import RecipeSection

ObjectiveKind = Literal["sft", "dpo", "ipo", "orpo", "simpo", "kto", "distill"]
PAIRED = ("dpo", "ipo", "orpo", "simpo")  # learn from two answers to one prompt
REFERRING = ("dpo", "ipo", "kto")  # compare with the model as the run starts
JUDGING = (*PAIRED, "kto")  # learn from judgements of whole answers
SETTINGS: dict[str, dict[str, float]] = {  # of each kind, with defaults
    "sft": {},
    "dpo": {"beta": 0.1, "label_smoothing": 0.0},
    "ipo": {"beta": 0.1},
    "orpo": {"beta": 0.1},
    "simpo": {"beta": 2.0, "gamma": 1.0},
    "kto": {"beta": 0.1, "desirable_weight": 1.0, "undesirable_weight": 1.0},
    "distill": {"beta": 0.0, "mix": 0.0},
}
SMALL = 1.5e9  # parameters up to which a model counts as small
ORPO_BETA_SMALL = 0.5
RATES = ((SMALL, 5e-5), (5e9, 2e-5))  # highest learning rate by the most parameters
RATE_ABOVE = 1e-5
PAIRS_A_STEP, WARMUP, EPOCHS = 8, 0.1, 1


class ObjectiveSpec(RecipeSection):
    """What is learned from the rows: to imitate them (sft), to prefer one answer to another, or to say what a teacher
    says of them (distill)."""

    kind: ObjectiveKind = Field(
        "sft",
        description="sft imitates the answers. dpo, ipo, orpo and simpo learn from pairs: a chosen and a rejected "
        "answer to one prompt. kto learns from single answers that were rated good or bad. "
        "distill learns what the teacher says of each token of the rows.",
    )
    beta: float | None = Field(
        None,
        ge=0,
        le=1000,
        description="dpo, ipo, kto: how close the model stays to the one that it starts from; more is closer (0.1). "
        "orpo: the weight of the preference beside imitation (0.1; 0.5 for small models). simpo: how sharp "
        "the preference is (2). distill: from 0 (cover all that the teacher says) to 1 (only what it says), "
        "between them a part of each (0).",
    )
    label_smoothing: float | None = Field(
        None, ge=0, lt=0.5, description="dpo: the share of pairs that may have been judged the wrong way round (0)."
    )
    gamma: float | None = Field(
        None, ge=0, le=1000, description="simpo: by how much the chosen answer should win (half of beta)."
    )
    desirable_weight: float | None = Field(None, gt=0, le=1000, description="kto: the weight of good answers (1).")
    undesirable_weight: float | None = Field(None, gt=0, le=1000, description="kto: the weight of bad answers (1).")
    mix: float | None = Field(
        None, ge=0, le=1, description="distill: the share of the rows' own words beside the teacher (0)."
    )

    @model_validator(mode="after")
    def _own_settings(self) -> ObjectiveSpec:
        own = SETTINGS[self.kind]
        if strange := [name for name in self.settings if name not in own]:
            has = f"it has {', '.join(own)}" if own else "it has no settings"
            raise ValueError(f"{self.kind} has no {' and no '.join(strange)}: {has}")
        if self.kind == "distill" and (self.beta or 0) > 1:
            raise ValueError(f"the beta of distill is from 0 to 1 (it is {self.beta:g})")
        if self.kind != "distill" and self.beta == 0:
            raise ValueError(f"the beta of {self.kind} must be more than 0")
        return self

    @property
    def settings(self) -> dict[str, float]:
        """What was given beside the kind, by name."""
        return {name: value for name, value in self if name != "kind" and value is not None}

    @property
    def paired(self) -> bool:
        """Whether a row is two answers to one prompt."""
        return self.kind in PAIRED

    @property
    def judging(self) -> bool:
        """Whether whole answers are judged."""
        return self.kind in JUDGING

    @property
    def referring(self) -> bool:
        """Whether log-probabilities of the model as the run starts are needed."""
        return self.kind in REFERRING


def completed(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's keys, with the defaults of its objective where nothing is said; what is no objective stays as it is.

    Values are those of design and papers for LoRA (https://arxiv.org/abs/2305.18290 for beta of dpo, 2310.12036 ipo,
    2403.07691 orpo, 2405.14734 simpo, 2402.01306 kto); a rate for imitation would make the answers collapse.
    """
    tree = _taught(tree)
    objective, train = tree.get("objective"), tree.get("train")
    kind = objective.get("kind") if isinstance(objective, Mapping) else None
    if not isinstance(objective, Mapping) or not isinstance(kind, str) or kind not in SETTINGS or kind == "sft":
        return dict(tree)
    size = parameters(str(tree.get("model", "")))
    settings = dict(SETTINGS[kind])
    if kind == "orpo" and size is not None and size <= SMALL:
        settings["beta"] = ORPO_BETA_SMALL
    if kind == "simpo" and isinstance(given := objective.get("beta"), int | float):
        settings["gamma"] = given / 2
    whole = {**tree, "objective": settings | {key: value for key, value in objective.items() if value is not None}}
    if isinstance(train, Mapping) and kind in JUDGING:
        length = {} if {*LENGTHS} & train.keys() else {"epochs": EPOCHS}
        whole["train"] = train_defaults(size) | length | dict(train)
    return whole


def _taught(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same keys, with the objective of a teacher where there is one and no kind is named."""
    teacher, objective = tree.get("teacher"), tree.get("objective") or {}
    if not isinstance(teacher, Mapping) or not teacher.get("model") or not isinstance(objective, Mapping):
        return tree
    return tree if objective.get("kind") else {**tree, "objective": {**objective, "kind": "distill"}}


def train_defaults(size: float | None) -> dict[str, Any]:
    """Settings of `train` for a model of so many parameters that learns preferences; None if that is not known."""
    rate = next((rate for most, rate in RATES if size is not None and size <= most), RATE_ABOVE)
    return {"learning_rate": rate, "warmup": WARMUP, "batch_size": PAIRS_A_STEP}


def parameters(model: str) -> float | None:
    """How many parameters a model's name says that it has, such as 270e6 of gemma-3-270m-it; None if it says nothing.

    Gemma 3n and 4 name effective ones (E4B).
    """
    named = re.search(r"(?<![a-z0-9.])e?(\d+(?:\.\d+)?)([mb])(?![a-z0-9])", model.lower())
    return float(named[1]) * {"m": 1e6, "b": 1e9}[named[2]] if named else None
