"""YAML to a recipe, or to a preparation: every problem at once, each with file, line, key and nearest key."""

from __future__ import annotations

import copy
import difflib
import glob
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML

from gemmalocal.errors import RecipeError
from gemmalocal.files import paths, safe_read
from gemmalocal.jobs import history
from gemmalocal.jobs.plurals import counted
from gemmalocal.recipe import objective, other_names, overrides, yaml_text
from gemmalocal.recipe.data_spec import NO_TEMPLATE
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.recipe.schema import Recipe
from gemmalocal.records import TRAIN_FILE

KINDS = ("PromptTemplate", "bool", "str", "int", "one", "several")  # of a value that may be of several
MUST_BE = "must be "
PLAIN = {  # of pydantic's kinds of error: what the value must be
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "finite_number": "a number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "list_type": "a list",
    "literal_error": "{expected}",
    "string_type": "text",
}
KEYS_WRONG = ("extra_forbidden", "missing", "model_type")  # where the value says nothing
Place = tuple[str | int, ...]  # of a key: train, steps
Whole = TypeVar("Whole", bound=BaseModel)
ELSEWHERE = ("hf:", "package:")  # rows that are no files of the user's
PACKAGE = Path(__file__).parent.parent
FOLDERS = (PACKAGE / "recipes", PACKAGE.parent / "recipes")  # of a wheel, of a clone


def builtin_recipes() -> dict[str, Path]:
    """The recipes that come with gemmalocal, by name."""
    return {file.stem: file for folder in FOLDERS for file in sorted(folder.glob("*.yaml"))}


def find(name: str) -> Path:
    """The file of a recipe given by path or by the name of a shipped one; raises `RecipeError`."""
    shipped = builtin_recipes()
    for path in (Path(name), shipped.get(name)):
        if path is not None and safe_read.is_file(path):
            return path
    near = difflib.get_close_matches(name, shipped, 1)
    hint = f"Did you mean '{near[0]}'?" if near else f"Recipes that come along: {', '.join(shipped)}."
    raise RecipeError(f"There is no recipe '{overrides.short(name)}'.", hint)


def load(name: str, items: Sequence[str] = (), tell: Callable[[str], None] = lambda text: None) -> Recipe:
    """Read a recipe and put `key.sub=value` items over it; raises `RecipeError` with all problems.

    A relative data path means a file beside the recipe if there is one, else beside the caller, else a dataset of
    the workspace. What an item changes beside its own key is told.
    """
    path = find(name)
    tree, lines = _parsed(path)
    problems, replaced = overrides.apply(tree, items, Recipe)
    for text in replaced:
        tell(text)
    return anchored(_with_template(_whole(tree, Recipe, path, lines, problems), path.parent), path.parent)


def changed(recipe: str | Path | Mapping[str, Any], values: Mapping[str, Any]) -> Recipe:
    """A recipe (a file, the name of one that comes along, or nested keys) with `values`, by whole key, over it.

    Relative paths of nested keys are looked for beside the caller. Raises `RecipeError` with all problems.
    """
    if isinstance(recipe, str | Path):
        path = find(str(recipe))
        tree, lines = _parsed(path)
        overrides.put(tree, values)
        return anchored(_with_template(_whole(tree, Recipe, path, lines), path.parent), path.parent)
    tree = copy.deepcopy(dict(recipe))
    overrides.put(tree, values)
    whole = checked(tree, Recipe, "The recipe cannot be run as it is:", "All keys: docs/recipes.md.")
    return anchored(_with_template(whole, Path.cwd()), Path.cwd())


def load_preparation(path: Path, options: dict[str, Any]) -> Preparation:
    """Read a preparation; `options` (nested as its keys) go before it. Raises `RecipeError` with all problems.

    A relative source, or folder of prompts, means one beside the file if there is one, else beside the caller.
    """
    tree, lines = _parsed(path)
    for name, value in options.items():
        if isinstance(value, dict) and isinstance(tree.get(name), dict):
            tree[name].update(value)
        else:
            tree[name] = value
    preparation = _whole(tree, Preparation, path, lines)
    sources = {"sources": [_beside(path.parent, source) for source in preparation.sources]}
    prompts = {"prompts": _beside(path.parent, preparation.prompts)} if preparation.prompts else {}
    return preparation.model_copy(update={**sources, **prompts})


def _beside(folder: Path, name: str) -> str:
    place = str(folder / name)
    return place if glob.glob(place, recursive=True) or Path(place).exists() else name


def _whole(tree: Any, schema: type[Whole], path: Path, lines: dict[Place, int], problems: Sequence[str] = ()) -> Whole:
    """What a file's keys describe; raises `RecipeError` with these problems and those of the keys."""
    sentences = list(problems)
    try:
        whole = schema.model_validate(tree)
    except ValidationError as error:
        sentences += [_sentence(*problem, lines, path) for problem in _problems(error, schema).items()]
    if sentences:
        count = counted(len(sentences), "problem")
        raise RecipeError(f"{path} has {count}:\n" + "\n".join(f"  {problem}" for problem in sentences))
    return whole


def _with_template(recipe: Recipe, folder: Path) -> Recipe:
    """With an absolute path of its chat template, beside the file if there is one, else beside the caller."""
    wish = recipe.data.chat_template
    if wish is None or wish == NO_TEMPLATE:
        return recipe
    file = paths.expanded(_beside(folder, wish))
    if not file.is_file():
        raise RecipeError(f"data.chat_template: there is no file {wish}.", f"Name a Jinja file, or say {NO_TEMPLATE}.")
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"chat_template": str(file.resolve())})})


def anchored(recipe: Recipe, folder: Path) -> Recipe:
    """With absolute data paths.

    A name is one of a dataset that was prepared here; else a relative path is looked for in `folder` and beside the
    caller.
    """
    if isinstance(recipe.data.path, str):
        path: Any = _anchored(recipe.data.path, folder)
    else:
        path = [place.model_copy(update={"path": _anchored(place.path, folder)}) for place in recipe.data.path]
    update: dict[str, Any] = {"data": recipe.data.model_copy(update={"path": path})}
    if recipe.start_from is not None:
        places = (folder / recipe.start_from, paths.expanded(recipe.start_from))
        adapter = next((place for place in places if safe_read.is_file(place / "adapter_config.json")), None)
        update |= {"start_from": str(adapter.resolve())} if adapter else {}  # else it is a run's name
    return recipe.model_copy(update=update)


def _anchored(path: str, folder: Path) -> str:
    place = paths.expanded(path)
    if path.startswith(ELSEWHERE) or place.is_absolute():
        return path if path.startswith(ELSEWHERE) else str(place)
    prepared = paths.datasets() / path
    places = [prepared] if (prepared / TRAIN_FILE).is_file() else []
    places += [folder / place, place]
    where = next((name for name in places if name.exists() or glob.glob(str(name), recursive=True)), place)
    return str(where.absolute() if glob.has_magic(path) and not where.exists() else where.resolve())


def from_tree(tree: dict[str, Any], schema: type[Whole]) -> tuple[Whole | None, dict[str, str]]:
    """A recipe, or what else `schema` is, out of nested keys; or None, and what is wrong by key (`train.steps`)."""
    try:
        return schema.model_validate(tree), {}
    except ValidationError as error:
        problems = _problems(error, schema)
        return None, {".".join(map(str, place)): message for place, message in problems.items()}


def checked(tree: dict[str, Any], schema: type[Whole], opening: str, hint: str) -> Whole:
    """The same; raises `RecipeError` with all problems, a line each below an opening."""
    whole, problems = from_tree(tree, schema)
    if whole is None:
        raise RecipeError(
            "\n  ".join([opening, *(f"{key}: {why}" if key else why for key, why in problems.items())]), hint
        )
    return whole


def scalar(text: str) -> Any:
    """What a text means as a value in YAML; the text itself if it is no YAML."""
    try:
        return yaml_text.parse(text).value if text.strip() else None
    except yaml_text.NotUnderstood:
        return text


def dump(recipe: Recipe) -> str:
    """A recipe as YAML, defaults left out, but for those that another objective than imitation has of its own.

    The learning rate is always said: its default has changed once, and a run of before is to stay what it was.
    """
    text, tree = io.StringIO(), recipe.model_dump(exclude_defaults=True)
    tree.setdefault("train", {})["learning_rate"] = recipe.train.learning_rate
    if recipe.objective.judging:
        own = objective.train_defaults(None)
        tree["train"] |= recipe.train.model_dump(include=set(own))
    YAML().dump(tree, text)
    return text.getvalue()


def parse(path: Path) -> Any:
    """A recipe file's nested keys, not yet validated; raises `RecipeError`."""
    return _parsed(path).value


def _parsed(path: Path) -> yaml_text.Parsed:
    """A recipe file's nested keys, not yet validated, with their lines; raises `RecipeError`."""
    try:
        with path.open("rb") as file:
            content = file.read(4 * yaml_text.LONGEST + 1).decode("utf-8-sig")
        parsed = yaml_text.parse(content)
    except yaml_text.NotUnderstood as error:
        raise RecipeError(f"{path}:{error.line}: {error.why}.", "Correct that line.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise RecipeError(f"{path}:{line}: this is not UTF-8 text.", "Save it as UTF-8.") from error
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}.", "Name a file that can be read.") from error
    if not isinstance(parsed.value, dict):
        raise RecipeError(
            f"{path}:1: it must hold keys, a line each, such as model: gemma-3-270m-demo.", "See recipes/quotes.yaml."
        )
    _keep_rate_of_run(path.parent, parsed.value.get("train"))
    return parsed


def _keep_rate_of_run(folder: Path, train: Any) -> None:
    """Put into a run's recipe the rate that an older version left out, since it was the default then."""
    if not isinstance(train, dict) or "learning_rate" in train:
        return
    of_run = history.known_spec(folder).get("train")
    if isinstance(of_run, dict) and isinstance(rate := of_run.get("learning_rate"), float):
        train["learning_rate"] = rate


def _sentence(place: Place, message: str, lines: dict[Place, int], path: Path) -> str:
    if not place:  # of several keys together
        return f"{path}: {message}"
    line = next((lines[place[:depth]] for depth in range(len(place), 0, -1) if place[:depth] in lines), 1)
    return f"{path}:{line}: {overrides.short('.'.join(map(str, place)))}: {message}"


def _problems(error: ValidationError, schema: type[BaseModel]) -> dict[Place, str]:
    """What is wrong, by place in a recipe; of a value that may be of several kinds, all that it may be."""
    messages, values = dict[Place, str](), dict[Place, str]()
    for details in error.errors():
        place = tuple(part for part in details["loc"] if part not in KINDS and _plain(part))
        message, before = _message(details, place, schema), messages.get(place)
        if before is not None:
            alike = before.startswith(MUST_BE) and message.startswith(MUST_BE)
            message = f"{before}, or {message.removeprefix(MUST_BE)}" if alike else f"{before}; {message}"
        messages[place] = message
        if details["type"] not in KEYS_WRONG and not isinstance(details["input"], dict):
            value = "empty" if details["input"] is None else repr(details["input"])
            values[place] = f" (it is {overrides.short(value)})"
            if details["type"] == "string_type" and isinstance(details["input"], int | float):
                values[place] += ": put it in quotes"
    holding = {place[:depth] for place in messages for depth in range(len(place))}  # the problem is within them
    own = {
        place: message for place, message in messages.items() if place not in holding or not message.startswith(MUST_BE)
    }
    return {place: message + values.get(place, "") for place, message in own.items()}


def _message(details: Any, place: Place, schema: type[BaseModel]) -> str:
    """What one of pydantic's errors means."""
    kind = details["type"]
    if kind == "extra_forbidden" and (sentence := other_names.answer(str(place[-1]))):
        return f"there is no such key; {sentence}"
    if kind == "extra_forbidden":
        keys = _keys_at(place[:-1], schema)
        near = difflib.get_close_matches(str(place[-1]), keys, 1) or _elsewhere(str(place[-1]), schema)
        return "there is no such key" + (f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(keys)}")
    if kind == "missing":
        return "is missing"
    if kind == "model_type":
        return f"must hold keys: {', '.join(_keys_at(place, schema))}"
    if kind in PLAIN:
        return MUST_BE + PLAIN[kind].format_map(
            {name: _number(value) for name, value in details.get("ctx", {}).items()}
        )
    return str(details["msg"]).removeprefix("Value error, ")


def _number(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _plain(part: str | int) -> bool:
    return isinstance(part, int) or not part.startswith(("literal[", "function-", "constrained"))


def _elsewhere(key: str, schema: type[BaseModel]) -> list[str]:
    """The full name of the nearest key of any section, the first that has it."""
    sections = [name for name in reversed(schema.model_fields) if _section(schema, name)]
    names = {name: f"{section}.{name}" for section in sections for name in _keys_at((section,), schema)}
    return [names[near] for near in difflib.get_close_matches(key, names, 1)]


def _keys_at(place: tuple[str | int, ...], schema: type[BaseModel]) -> list[str]:
    section = schema
    for part in place:
        if isinstance(part, int):  # one of a list
            continue
        if (inner := _section(section, part)) is None:
            break
        section = inner
    return list(section.model_fields)


def _section(schema: type[BaseModel], name: str) -> type[BaseModel] | None:
    """What the key `name` holds, if that is keys, or a list of such (or nothing)."""
    field = schema.model_fields.get(name)
    return next(_models(field.annotation), None) if field else None


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
