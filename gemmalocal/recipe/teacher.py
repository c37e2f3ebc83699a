"""Who teaches: a larger model, or one that was tuned, whose answers to each token are learned instead of one word."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from gemmalocal.recipe.objective import ObjectiveSpec
from gemmalocal.recipe.search_keys import PROMPT_WEIGHT
from gemmalocal.recipe.search_spec import SearchSpec
from gemmalocal.recipe.section import RecipeSection

KEEP = 32
SELF = "self"  # in place of a model's name
TOKEN = 4 + 2, 2  # bytes on disk of an id with its log-probability, and of the rest


class TeacherSpec(RecipeSection):
    """A model that reads the rows once, before training; what it says of each token is kept and learned (distill)."""

    model: str | None = Field(
        None,
        min_length=1,
        description="Who teaches: a folder, a Hub name, a run (RUN, RUN@STEP), or self: the model itself before it is "
        "tuned, which is shown each row as an example before it reads it. Its vocabulary must be the model's. With a "
        "teacher, objective.kind is distill if left out.",
    )
    keep: int = Field(
        KEEP,
        ge=1,
        le=1024,
        description="How many of its likeliest ids are kept for each token; all others are one share. 32 take about "
        "200 bytes a token on the disk.",
    )
    temperature: float = Field(
        1,
        ge=0.1,
        le=20,
        description="What the logits of both are divided by; above 1 the teacher's unlikely ids count for more. "
        "Another one than 1 cannot be mixed with the rows' own words (objective.mix).",
    )
    rounds: int = Field(
        0,
        ge=0,
        le=1000,
        description="How often the student answers the rows' prompts anew, to learn from what the teacher says of "
        "these answers in place of the rows' own. The steps are shared out evenly. 0: the rows' own answers. Teacher "
        "and student are in memory together.",
    )
    answer_tokens: int = Field(256, ge=1, le=8192, description="The most tokens of such an answer.")
    quantize: Literal["none", "4bit", "8bit"] = Field(
        "none", description="Quantize the teacher's weights when they are loaded; of a run: as it was trained."
    )

    @property
    def bits(self) -> int | None:
        """Bits of a weight that is quantized when loaded."""
        return None if self.quantize == "none" else int(self.quantize[0])

    @property
    def token_bytes(self) -> int:
        """Bytes that are kept of what it says of a token."""
        of_id, of_rest = TOKEN
        return self.keep * of_id + of_rest

    @model_validator(mode="after")
    def _nothing_without_a_model(self) -> TeacherSpec:
        if self.model is None and self.model_fields_set - {"model"} and self != TeacherSpec():
            raise ValueError("names no model: set teacher.model")
        return self


def misfit(teacher: TeacherSpec, objective: ObjectiveSpec, minutes: float | None, search: SearchSpec) -> str:
    """Why a teacher does not go with the rest of a recipe; empty if it does."""
    distills = objective.kind == "distill"
    if distills and teacher.model is None:
        return "distill learns from a teacher: set teacher.model"
    if teacher.model is not None and not distills:
        return f"{objective.kind} has no teacher: set objective.kind to distill, or leave teacher out"
    if teacher.temperature != 1 and objective.mix:
        return "a teacher at another temperature than 1 cannot be mixed: leave objective.mix out"
    if teacher.rounds and minutes is not None:
        return "rounds are shares of the steps: give train.steps or train.epochs, and no minutes"
    if teacher.rounds and objective.mix:
        return "in rounds the student learns from its own answers: leave objective.mix out"
    if teacher.rounds and search.on:
        return "a search needs rows that stay as they are: set teacher.rounds to 0, or leave search out"
    if teacher.model is not None and PROMPT_WEIGHT in search.keys:
        return f"a teacher reads what one weight makes of the rows: leave {PROMPT_WEIGHT} out of search.over"
    return ""
