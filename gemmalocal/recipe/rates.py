"""`learning_rate: auto`: a highest rate by method and size of the model, from a table with its evidence.

The table holds rates of LoRA at rank 8 and alpha 16. A rank r adapter with the update alpha / r * B A grows as fast for
every r at one rate and alpha (each of its r parts moves as far, and their sum is divided by r), so the rate is scaled
by 1 / alpha and little by the rank: `RANK_POWER` is what was measured, at four times the rank and alpha.
docs/measured.md has the figures, and the command that makes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemmalocal.recipe.objective import parameters, train_defaults

if TYPE_CHECKING:
    from gemmalocal.recipe.schema import Recipe

ALPHA, RANK, RANK_POWER = 16, 8, 0.25
SMALL, ANY = 500e6, float("inf")
# Of imitation, by method: the most parameters (ANY: all that are larger), the rate, and what speaks for it.
TABLE: dict[str, tuple[tuple[float, float, str], ...]] = {
    # Small: short runs on four sets, with two seeds, were better at 5e-4 than at 2e-4 (docs/measured.md); of 100 steps
    # on the quotes 5e-4 was best, and longer runs want less. Larger: alpha / rank * rate is 4e-4, as in Google's own
    # recipes for Gemma; not measured.
    "lora": (
        (SMALL, 5e-4, "on four sets a Gemma 3 270M learned more than at 2e-4"),
        (ANY, 2e-4, "what Google's own recipes for Gemma come to"),
    ),
    "dora": ((SMALL, 5e-4, "that of LoRA, of which it is a form"), (ANY, 2e-4, "that of LoRA, of which it is a form")),
    # Every weight moves by the rate itself: a tenth of LoRA's (https://arxiv.org/abs/2602.04998 has such a factor).
    "full": ((ANY, 2e-5, "a tenth of LoRA's, since every weight moves"),),
}


def learning_rate(recipe: Recipe, weights: float | None = None) -> tuple[float, str]:
    """The rate that `auto` means for a recipe, and why, in a few words; `weights` are the model's, if they are known.

    The rate has two digits, as a person would write it.
    """
    size = parameters(recipe.model) if weights is None else weights
    if recipe.objective.judging:
        rate = float(train_defaults(size)["learning_rate"])
        return rate, f"{recipe.objective.kind} with a model {_sized(size)}"
    rate, why = next((rate, why) for most, rate, why in TABLE[recipe.method] if (ANY if size is None else size) <= most)
    if recipe.method == "full":
        return rate, why
    lora = recipe.lora
    scaled = rate * ALPHA / lora.alpha * (lora.rank / RANK) ** RANK_POWER
    more = f", at alpha {lora.alpha:g} in place of {ALPHA}" if lora.alpha != ALPHA else ""
    return float(f"{scaled:.2g}"), f"{recipe.method}: {why}{more}"


def _sized(size: float | None) -> str:
    if size is None:
        return "of a size that is not known"
    return f"of {size / 1e9:.1f} billion weights" if size >= 1e9 else f"of {size / 1e6:.0f} million weights"


def resolved(recipe: Recipe, weights: float | None = None, before: float | None = None) -> Recipe:
    """The recipe with a number in place of `auto`: what a run that goes on had `before`, which a newer table keeps."""
    if recipe.train.learning_rate != "auto":
        return recipe
    rate = learning_rate(recipe, weights)[0] if before is None else before
    train = recipe.train.model_copy(update={"learning_rate": rate})
    return recipe.model_copy(update={"train": train})


def sentence(recipe: Recipe, weights: float | None = None) -> str:
    """What `auto` means for a recipe, for a person; empty where it gives a number itself."""
    if recipe.train.learning_rate != "auto":
        return ""
    rate, why = learning_rate(recipe, weights)
    return f"learning rate auto is {rate:g} here ({why})"
