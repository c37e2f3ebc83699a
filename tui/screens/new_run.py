"""What a new run begins with: recipes as cards, and how thorough it is to be."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from gemmalocal.errors import GemmalocalError
from gemmalocal.files import paths, safe_read
from gemmalocal.files.sizes import size
from gemmalocal.planning import expected, obstacles, preview, published, throughput
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.schema import Recipe
from gemmalocal.recipe.search_spec import TRIALS, SearchSpec
from gemmalocal.workspace import rows
from tui.background import run_in_background
from tui.screens.dialog import Dialog
from tui.screens.pick import Offered
from tui.screens.recipes import known_recipes
from tui.widgets.choice import Choice

QUICK, GOOD, CAREFUL = PRESETS = ("quick look", "good", "careful")
MEANS = {
    QUICK: "Three minutes at most, to see that it works and what it is like.",
    GOOD: "As the recipe says.",
    CAREFUL: "Four learning rates are tried first; the best trains twice as long.",
}
MINUTES = 3  # of a quick look
DEMO = "gemma-3-270m-demo"


class Chosen(NamedTuple):
    """The recipe's file, and what the preset changes in it, as nested keys."""

    path: Path
    changes: dict[str, Any]


class Card(NamedTuple):
    """A recipe with what is known of it; `recipe` is None where it cannot be read.

    `obstacle` is why it cannot run here, `slow` why it should not; empty if nothing says so. `rows_lack`: its rows, or
    some of them, are not there yet.
    """

    name: str
    words: str
    path: Path
    recipe: Recipe | None = None
    outlook: preview.Outlook | None = None
    obstacle: str = ""
    slow: str = ""
    rows_lack: bool = False


class NewRunScreen(Dialog[Chosen | None]):
    """Gives what was chosen. The cards are there at once; what fits is told as it is found out."""

    BINDINGS = [
        Binding("tab", "app.focus_next", "How thorough"),
        Binding("escape", "dismiss(None)", "Back"),
    ]

    def __init__(self) -> None:
        super().__init__("New run: what do you want to train?", "large")
        self._cards: list[Card] = []
        self.ready = False  # keys wait for the cards

    def body(self) -> ComposeResult:
        """Cards, presets."""
        offers = Offered(id="offers")
        offers.HELP = "Recipes: up and down choose one, **Enter** shows what it will do before it begins."  # type: ignore[misc]
        yield offers
        thorough = Choice(list(PRESETS), GOOD)
        thorough.HELP = "How thorough the run is to be: left and right choose. All can be changed after."  # type: ignore[misc]
        yield thorough
        yield Static(MEANS[GOOD], id="means")

    def on_mount(self) -> None:
        """Read the recipes."""
        run_in_background(self, self._fill)

    async def _fill(self) -> None:
        self._cards = [Card(*known) for known in await asyncio.to_thread(known_recipes)]
        if not self.is_attached:
            return
        options = self.query_one(Offered)
        options.add_options([Option(drawn(card), id=str(card.path)) for card in self._cards])
        options.highlighted = 0 if self._cards else None
        options.focus()
        self.ready = True
        self.refresh_bindings()
        for at, card in enumerate(self._cards):
            self._cards[at] = looked = await asyncio.to_thread(look, card)
            options.replace_option_prompt_at_index(at, drawn(looked))

    def on_choice_changed(self) -> None:
        """What the preset means."""
        self.query_one("#means", Static).update(MEANS[self.query_one(Choice).value])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """That one."""
        preset = self.query_one(Choice).value
        card = next(card for card in self._cards if str(card.path) == event.option.id)
        if preset != GOOD and card.recipe is None:
            card = look(card)
        self.dismiss(Chosen(card.path, changes(card.recipe, preset)))


def changes(recipe: Recipe | None, preset: str) -> dict[str, Any]:
    """What a preset makes of a recipe, as nested keys; nothing of one that cannot be read."""
    if recipe is None or preset == GOOD:
        return {}
    train = recipe.train
    if preset == QUICK:
        return {"train": {"steps": None, "epochs": None, "minutes": min(train.minutes or MINUTES, MINUTES)}}
    longer: dict[str, Any] = {"epochs": 2 * (train.epochs or 1)}
    if train.steps or train.minutes:
        longer = {"steps": 2 * train.steps} if train.steps else {"minutes": 2 * (train.minutes or 1)}
    if train.evaluate_every > 1:
        longer["evaluate_every"] = train.evaluate_every // 2
    search = recipe.search if recipe.search.on else SearchSpec(trials=TRIALS)
    return {"train": longer, "search": search.model_dump(exclude_defaults=True)}


def look(card: Card) -> Card:
    """What is known of a recipe on this machine; reads files, never the network."""
    try:
        recipe = recipe_file.load(str(card.path))
        wrong = {**obstacles.missing(recipe), **expected.problems(recipe)}
        lacks = any(key.startswith("data.") for key in wrong)
        obstacle = next((words for key, words in wrong.items() if not key.startswith("data.")), "")
        slow = obstacles.slow(recipe)
        return card._replace(
            recipe=recipe, outlook=preview.outlook(recipe), obstacle=obstacle, slow=slow, rows_lack=lacks
        )
    except (GemmalocalError, OSError):
        return card


def is_here(model: str) -> bool:
    """Whether a model needs no download, as far as its name tells: a folder, the demo's, or in the Hub's cache."""
    if model == DEMO or safe_read.is_file(paths.expanded(model) / "config.json"):
        return True
    if safe_read.is_file(paths.models() / model / "config.json"):
        return True
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    cache = paths.expanded(os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub"))
    return bool(safe_read.entries(cache / f"models--{model.replace('/', '--')}" / "snapshots"))


def download(model: str) -> str:
    """What must be fetched before, in words."""
    known = next((each for each in published.MODELS if each.name == model), None)
    if known is None:
        return "to fetch"
    return f"to fetch, {size(known.download)}{', gated' if known.gated else ''}"


def drawn(card: Card) -> Content:
    """A card: what it is called and whether it fits; for whom it is; model and rows."""
    recipe, outlook = card.recipe, card.outlook
    first: list[Any] = [(card.name, "bold $secondary")]
    if outlook is not None and outlook.peak is not None:
        fits = outlook.peak.fits(outlook.memory.usable)
        first.append(("   ✓ fits this machine" if fits else "   ✗ needs more memory", "$good" if fits else "$bad"))
    if outlook is not None and outlook.seconds is not None:
        first.append((f" · about {throughput.duration(outlook.seconds)}", "$muted"))
    lines = [Content.assemble(*first)]
    if card.obstacle:
        lines.append(Content.styled(f"✗ cannot run here: {card.obstacle}", "$bad"))
    elif card.slow:
        lines.append(Content.styled(f"! {card.slow}", "$warning"))
    lines.append(Content(card.words or "A recipe of your own."))
    if recipe is not None:
        where = "here" if is_here(recipe.model) else download(recipe.model)
        named = f"{rows.named(recipe.data.path)}{' (not there yet)' * card.rows_lack}"
        lines.append(Content.styled(f"{Path(recipe.model).name} ({where}) · {named}", "$muted"))
    return Content("\n").join([*lines, Content("")])
