"""Papers that come of the code itself, by file name; `python -m docs.generate` writes them, a test holds them true."""

from __future__ import annotations

from collections.abc import Callable

from docs.generate import events, recipes, schemas

PAGES: dict[str, Callable[[], str]] = {
    "recipes.md": recipes.page,
    "events.md": events.page,
    "../recipes/recipe.schema.json": schemas.recipe,
    "../recipes/prepare.schema.json": schemas.preparation,
}
