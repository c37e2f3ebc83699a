"""What a recipe says of a search: how many settings are tried before the run, and of which keys."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from gemmalocal.recipe import overrides, search_keys, yaml_text
from gemmalocal.recipe.section import RecipeSection

MOST = 64  # trials
TRIALS = 4  # of rates, where nothing else is said


def _axis(text: str) -> str:
    """`KEY=VALUE,VALUE`."""
    axis(text)
    return text


def axis(text: str) -> tuple[str, list[Any]]:
    """The key and the values of `KEY=VALUE,VALUE`; raises `ValueError`."""
    key, equals, listed = (part.strip() for part in text.partition("="))
    if not equals or not listed:
        raise ValueError(f"write {overrides.short(text)} as KEY=VALUE,VALUE, such as train.learning_rate=1e-4,4e-4")
    if refused := search_keys.refusal(key):
        raise ValueError(refused)
    try:
        values = yaml_text.parse(f"[{listed}]").value
    except yaml_text.NotUnderstood as error:
        raise ValueError(f"{overrides.short(text)}: {error.why}") from error
    if any(values.count(value) > 1 for value in values):
        raise ValueError(f"{overrides.short(text)} has a value twice")
    return key, values


class SearchSpec(RecipeSection):
    """What is tried on short runs first; the best trains for the rest, on its own."""

    trials: int = Field(
        0,
        ge=0,
        le=MOST,
        description="How many settings are tried; the better half goes on, twice as long, until one is left. 0: none.",
    )
    over: list[Annotated[str, AfterValidator(_axis)]] = Field(
        default_factory=list,
        description="What is tried: KEY=VALUE,VALUE, one for each key. If left out: learning rates from half of auto "
        "to four times it.",
    )
    learning_curve: bool = Field(
        False,
        description="Try a quarter, a half and all of the rows in place of settings, to see whether more would help.",
    )
    share: float = Field(
        0.4,
        gt=0,
        lt=1,
        description="How much the trials take: of the run's minutes; where it has steps or epochs, that many more.",
    )

    @property
    def on(self) -> bool:
        """Whether anything is tried."""
        return self.trials > 0 or self.learning_curve

    @property
    def keys(self) -> list[str]:
        """The keys that are named in `over`."""
        return [axis(text)[0] for text in self.over]

    @model_validator(mode="after")
    def _one_question(self) -> SearchSpec:
        if self.learning_curve and (self.over or self.trials):
            raise ValueError("learning_curve tries rows, not settings: leave trials and over out")
        return self
