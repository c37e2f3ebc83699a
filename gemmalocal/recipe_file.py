"""YAML to a recipe: every problem at once, each with file, line, key and nearest key."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from gemmalocal import paths
from gemmalocal.errors import RecipeError
from gemmalocal.recipe import Recipe

Whole = TypeVar("Whole", bound=BaseModel)
FOLDERS = (Path(__file__).parent / "recipes", Path(__file__).parent.parent / "recipes")


def builtin_recipes() -> dict[str, Path]:
    """The recipes that come with gemmalocal, by name."""
    return {file.stem: file for folder in FOLDERS for file in sorted(folder.glob("*.yaml"))}


def find(name: str) -> Path:
    """The file of a recipe given by path or by the name of a shipped one; raises `RecipeError`."""
    shipped = builtin_recipes()
    for path in (Path(name), shipped.get(name)):
        if path is not None and path.is_file():
            return path
    near = difflib.get_close_matches(name, shipped, 1)
    hint = f"Did you mean '{near[0]}'?" if near else f"Shipped recipes: {', '.join(shipped)}."
    raise RecipeError(f"There is no recipe '{name}'.", hint)


def load(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `key.sub=value` overrides; raises `RecipeError` with all problems.

    A relative data path means a file beside the recipe if there is one, else beside the caller, else a dataset of
    the workspace.
    """
    path = find(name)
    tree = parse(path)
    lines = dict(_lines(tree))
    problems = [problem for item in overrides if (problem := _override(tree, item))]
    try:
        recipe = Recipe.model_validate(tree)
    except ValidationError as error:
        problems += [_sentence(details, lines, path) for details in error.errors()]
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise RecipeError(f"{path} has {count}:\n" + "\n".join(f"  {problem}" for problem in problems))
    return anchored(recipe, path.parent)


def anchored(recipe: Recipe, folder: Path) -> Recipe:
    """With an absolute data path; a relative one is looked for in `folder`, beside the caller, and among datasets."""
    if ":" in recipe.data.path or Path(recipe.data.path).is_absolute():
        return recipe
    places = (folder / recipe.data.path, Path(recipe.data.path), paths.datasets() / recipe.data.path)
    where = next((place for place in places if place.exists()), Path(recipe.data.path))
    data = recipe.data.model_copy(update={"path": str(where.resolve())})
    return recipe.model_copy(update={"data": data})


def from_tree(tree: dict[str, Any], schema: type[Whole]) -> tuple[Whole | None, dict[str, str]]:
    """A recipe, or what else `schema` is, out of nested keys; or None, and what is wrong by key (`train.steps`)."""
    try:
        return schema.model_validate(tree), {}
    except ValidationError as error:
        found = (_problem(details) for details in error.errors())
        return None, {".".join(map(str, place)): message for place, message in found}


def scalar(text: str) -> Any:
    """What a text means as a value in YAML; the text itself if it is no YAML."""
    try:
        return YAML(typ="safe").load(text) if text.strip() else None
    except YAMLError:
        return text


def dump(recipe: Recipe) -> str:
    """A recipe as YAML, defaults left out."""
    text = io.StringIO()
    YAML().dump(recipe.model_dump(exclude_defaults=True), text)
    return text.getvalue()


def parse(path: Path) -> Any:
    """A recipe file's nested keys, with their lines, not yet validated; raises `RecipeError`."""
    try:
        tree = YAML().load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RecipeError(f"{path}:{line}: this is not YAML: {error.problem}.") from error
    except YAMLError as error:
        raise RecipeError(f"{path}:1: this is not YAML: {str(error).splitlines()[0]}.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise RecipeError(f"{path}:{line}: this is not UTF-8 text.", "Save it as UTF-8.") from error
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}.") from error
    if not isinstance(tree, dict):
        raise RecipeError(
            f"{path}:1: a recipe must hold keys such as model, data and train.", "See recipes/quotes.yaml."
        )
    return tree


def _lines(tree: Any, prefix: tuple[str | int, ...] = ()) -> Iterable[tuple[tuple[str | int, ...], int]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield (*prefix, key), tree.lc.key(key)[0] + 1  # type: ignore[attr-defined]
            yield from _lines(value, (*prefix, key))


def _override(tree: Any, item: str) -> str | None:
    key, equals, value = item.partition("=")
    if not equals:
        return f"--set {item}: write it as key=value, for example --set train.steps=50."
    *parents, last = key.strip().split(".")
    for parent in parents:
        if not isinstance(tree.get(parent), dict):
            tree[parent] = {}
        tree = tree[parent]
    tree[last] = YAML(typ="safe").load(value) if value.strip() else None
    return None


def _sentence(details: Any, lines: dict[tuple[str | int, ...], int], path: Path) -> str:
    place, message = _problem(details)
    line = next((lines[place[:depth]] for depth in range(len(place), 0, -1) if place[:depth] in lines), 1)
    return f"{path}:{line}: {'.'.join(map(str, place))}: {message}"


def _problem(details: Any) -> tuple[tuple[str | int, ...], str]:
    """Where in a recipe, and what, one of pydantic's errors means."""
    place = tuple(part for part in details["loc"] if part not in ("PromptTemplate", "str", "int") and _plain(part))
    message = details["msg"].removeprefix("Value error, ")
    if details["type"] == "extra_forbidden":
        known = _keys_at(place[:-1])
        near = difflib.get_close_matches(str(place[-1]), known, 1) or _elsewhere(str(place[-1]))
        message = "there is no such key" + (f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known)}")
    elif details["type"] == "missing":
        message = "is missing"
    elif details["type"] == "model_type":
        message = f"must hold keys: {', '.join(_keys_at(place))}"
    elif "input" in details and not isinstance(details["input"], dict):
        message += f" (it is {details['input']!r})"
    return place, message


def _plain(part: str | int) -> bool:
    return isinstance(part, int) or not part.startswith(("literal[", "function-", "constrained"))


def _elsewhere(key: str) -> list[str]:
    """The full name of the nearest key of any section."""
    names = {
        name: f"{section}.{name}" for section in ("data", "lora", "train", "samples") for name in _keys_at((section,))
    }
    return [names[near] for near in difflib.get_close_matches(key, names, 1)]


def _keys_at(place: tuple[str | int, ...]) -> list[str]:
    section: type[BaseModel] = Recipe
    for part in place:
        inner = section.model_fields[str(part)].annotation if str(part) in section.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        section = inner
    return list(section.model_fields)
