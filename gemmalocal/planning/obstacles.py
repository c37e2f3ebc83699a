"""Why a recipe cannot run on this machine, or only slowly, for another reason than memory; no engine is imported."""

from __future__ import annotations

from importlib import util

from gemmalocal.planning import device_memory, memory
from gemmalocal.recipe.schema import Recipe

ENGINES = {
    "mlx": (("mlx", "mlx_lm"), "MLX", "pip install gemmalocal, on a Mac or Linux"),
    "torch": (("torch", "transformers"), "torch", "pip install 'gemmalocal[torch]'"),
}
BITSANDBYTES, INSTALL_CUDA = "bitsandbytes", "pip install 'gemmalocal[cuda]'"


def missing(recipe: Recipe) -> dict[str, str]:
    """By key, what the recipe wants and is not installed, or cannot be on this machine."""
    engine = _engine(recipe)
    packages, name, install = ENGINES[engine]
    if not all(map(util.find_spec, packages)):
        return {"backend": f"{name} is not installed: {install}"}
    if not memory.ENGINES[engine].on_cards:
        return {}
    wrong = {}
    eight_bit = recipe.train.optimizer == "paged_adamw_8bit"
    without = util.find_spec(BITSANDBYTES) is None
    if recipe.bits == 4 and without:
        wrong["quantize"] = f"4bit needs bitsandbytes: {INSTALL_CUDA}"
    if eight_bit and device_memory.on_apple_silicon():
        wrong["train.optimizer"] = "there is no 8-bit AdamW for Apple's GPU: take adamw"
    elif eight_bit and without:
        wrong["train.optimizer"] = f"paged_adamw_8bit needs bitsandbytes: {INSTALL_CUDA}"
    return wrong


def slow(recipe: Recipe) -> str:
    """Why it would run, and take far longer than it was made for; empty if nothing says so."""
    made_for_card = recipe.bits is not None and memory.ENGINES[_engine(recipe)].on_cards
    return "made for an NVIDIA card: very slow here" if made_for_card and device_memory.card() is None else ""


def _engine(recipe: Recipe) -> str:
    """The one that would be taken; `auto` takes what is installed."""
    engine = device_memory.engine_of(recipe.backend)
    if recipe.backend == "auto" and util.find_spec(ENGINES[engine][0][0]) is None:
        return next((name for name, (packages, *_) in ENGINES.items() if all(map(util.find_spec, packages))), engine)
    return engine
