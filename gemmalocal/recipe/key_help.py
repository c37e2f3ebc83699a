"""The keys of a recipe by their whole names, for those who complete what is typed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from gemmalocal.recipe.schema import Recipe


def descriptions() -> dict[str, str]:
    """What each key that holds a value is for, by its whole name (`train.steps`), sections opened."""
    return {name: field.description or "" for name, field in _fields(Recipe, "")}


def words(key: str) -> list[str]:
    """The words that a key may hold, where these are few and known; true and false are such."""
    field = dict(_fields(Recipe, "")).get(key)
    return list(dict.fromkeys(_words(field.annotation))) if field else []


def _fields(section: type[BaseModel], before: str) -> Iterator[tuple[str, Any]]:
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _fields(inner, f"{before}{name}.")
        else:
            yield f"{before}{name}", field


def _words(annotation: Any) -> Iterator[str]:
    if annotation is bool:
        yield from ("true", "false")
    elif get_origin(annotation) is Literal:
        yield from (str(word) for word in get_args(annotation) if isinstance(word, str))
    else:
        for part in get_args(annotation):
            yield from _words(part)
