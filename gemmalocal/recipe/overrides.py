"""`key.sub=value` put over a recipe's keys: what follows = is text where the key takes text, else YAML."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import permutations
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from gemmalocal.recipe import yaml_text

LENGTHS = ("steps", "epochs", "minutes")  # of train: one takes the place of the others
SHOWN = 60  # characters of what was typed, in a sentence


def apply(tree: dict[str, Any], items: Sequence[str], schema: type[BaseModel]) -> tuple[list[str], list[str]]:
    """Change `tree`, a recipe's keys, in place; the problems, and what is to be told, a sentence each."""
    problems, replaced = list[str](), list[str]()
    keys = set[str]()
    for item in items:
        key, equals, text = item.partition("=")
        places = [place.strip() for place in key.split(".")]
        if not equals or not all(places):
            problems.append(f"--set {short(item)}: write it as key=value, for example --set train.steps=50.")
            continue
        keys.add(".".join(places))
        try:
            _put(tree, places, value(text, _annotation(schema, places)))
        except yaml_text.NotUnderstood as error:
            problems.append(f"--set {short(item)}: {error.why}.")
    return problems, replaced + _without_rivals(tree, keys)


def put(tree: dict[str, Any], values: Mapping[str, Any]) -> list[str]:
    """Change `tree` in place by values that are no text, by whole key (`train.steps`); what is to be told."""
    for key, content in values.items():
        _put(tree, key.split("."), content)
    return _without_rivals(tree, set(values))


def _without_rivals(tree: dict[str, Any], keys: Collection[str]) -> list[str]:
    """Take out what cannot stand beside the keys that were changed; what is to be told."""
    replaced = []
    train = tree["train"] if isinstance(tree.get("train"), dict) else {}
    for length, rival in permutations(LENGTHS, 2):
        meant = f"train.{length}" in keys and f"train.{rival}" not in keys
        if meant and train.get(length) is not None and train.get(rival) is not None:
            replaced.append(f"train.{length}={train[length]} takes the place of {rival}: {train[rival]}")
            del train[rival]
    return replaced


def _put(tree: dict[str, Any], places: Sequence[str], value: Any) -> None:
    for place in places[:-1]:
        if not isinstance(tree.get(place), dict):
            tree[place] = {}
        tree = tree[place]
    tree[places[-1]] = value


def value(text: str, annotation: Any) -> Any:
    """What a text means to a key of such a type: nothing is None; raises `NotUnderstood` for what is no YAML.

    A key that takes text takes it as it stands, quotes around it aside; where it takes a list or keys too, only what
    is written as such in YAML (`[a, b]`, `{prompt: ..., completion: ...}`) is one.
    """
    kinds = list(_kinds(annotation))
    if not text.strip():
        return None
    words = any(get_origin(kind) is list and str in _kinds(get_args(kind)[0]) for kind in kinds)
    if str not in kinds and not words:
        parsed = yaml_text.parse(text).value
        several = isinstance(parsed, str) and any(get_origin(kind) is list for kind in kinds)
        return [word.strip() for word in parsed.split(",")] if several else parsed
    parsed = _as_written(text.strip(), kinds)
    if parsed is None and text.strip() in ("null", "~") and NoneType in kinds:
        return None
    if parsed is not None:
        return parsed
    return text if str in kinds else [text]


def _as_written(text: str, kinds: Sequence[Any]) -> Any:
    """A quoted text, or a list or keys that one of these types may be; None if it is neither."""
    if text[0] not in "'\"[{":
        return None
    try:
        parsed = yaml_text.parse(text).value
    except yaml_text.NotUnderstood:
        if text[0] == "[" and str not in kinds:
            raise
        return None
    inner = [part for kind in kinds if get_origin(kind) is list for part in _kinds(get_args(kind)[0])]
    sections = [kind for kind in (*kinds, *inner) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    if isinstance(parsed, dict):
        return parsed if any(parsed.keys() <= section.model_fields.keys() for section in sections) else None
    if isinstance(parsed, list):
        return parsed if any(get_origin(kind) is list for kind in kinds) else None
    return parsed if isinstance(parsed, str) else None


def _annotation(schema: type[BaseModel], places: Sequence[str]) -> Any:
    """The type of the key at `places`; None if there is no such key."""
    annotation: Any = schema
    for place in places:
        kinds = list(_kinds(annotation))
        fields = [kind.model_fields for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        annotation = next((section[place].annotation for section in fields if place in section), None)
    return annotation


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types that a value may be of: unions and annotated ones taken apart, words of a Literal as text."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif str(origin) in ("typing.Union", "<class 'types.UnionType'>"):
        for part in get_args(annotation):
            yield from _kinds(part)
    else:
        yield annotation


def short(text: str) -> str:
    """The beginning of what was typed."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
