"""The chat template of a conversation: the model's own, as transformers finds it, a person's, or Gemma's turns."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gemmalocal.errors import ModelError, RecipeError
from gemmalocal.recipe.data_spec import NO_TEMPLATE

TURNS = (  # Gemma 1 to 3, for models that bring no template; the published one, in our words
    "{{ bos_token }}{% set system, turns = '', messages %}"
    "{% if messages and messages[0].role == 'system' %}"
    "{% set system, turns = messages[0].content ~ '\n\n', messages[1:] %}{% endif %}"
    "{% for message in turns %}<start_of_turn>"
    "{{ 'model' if message.role == 'assistant' else message.role }}\n"
    "{{ ((system if loop.first else '') ~ message.content) | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
TURNS_4 = (  # the same for Gemma 4, whose marks are others, and which has a system's turn
    "{{ bos_token }}{% for message in messages %}<|turn>"
    "{{ 'model' if message.role == 'assistant' else message.role }}\n{{ message.content | trim }}<turn|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|turn>model\n{% endif %}"
)
CONFIG, OWN, MORE, OLD = (
    "tokenizer_config.json", "chat_template.jinja", "additional_chat_templates", "chat_template.json",
)  # fmt: skip
AGAIN = "Fetch the model again, or give a template: data.chat_template."


@dataclass(frozen=True)
class ChatTemplate:
    """A Jinja template; `file` is what sentences call it.

    `wraps` is whether a prompt and its completion go into turns too, as they do for a model that brings a template;
    else only conversations do. `own` is whether the model brings it.
    """

    source: str
    file: str
    wraps: bool = True
    own: bool = False


def chosen(folder: Path, wish: str | None) -> ChatTemplate:
    """What a recipe's `data.chat_template` means for the model in `folder`; raises `ModelError`, `RecipeError`."""
    if wish is not None and wish != NO_TEMPLATE:
        return from_file(Path(wish))
    own = of_model(folder)
    if own is None:
        return ChatTemplate(TURNS, "Gemma's turns", wraps=False)
    return replace(own, wraps=wish is None, own=True)


def from_file(path: Path) -> ChatTemplate:
    """A person's template, from a file in UTF-8; raises `RecipeError` for one that is no template of messages."""
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RecipeError(
            f"The chat template {path} cannot be read: {why}.", f"data.chat_template is a Jinja file, or {NO_TEMPLATE}."
        ) from error
    if not re.search(r"\{[{%][^}]*\bmessages\b", source):
        raise RecipeError(
            f"The chat template {path} does not use the messages.", "It is a Jinja template of a conversation."
        )
    return ChatTemplate(source, path.name)


def of_model(folder: Path) -> ChatTemplate | None:
    """The template that a model's folder brings, None if none; of several the one named default.

    Files of their own go before the tokenizer's configuration, as transformers has it, and a processor's old file
    comes last. Raises `ModelError` for files that cannot be read, and for several without a default.
    """
    several = {file.stem: (_text(file), file.name) for file in sorted((folder / MORE).glob("*.jinja"))}
    if (folder / OWN).is_file():
        several["default"] = (_text(folder / OWN), OWN)
    for name in (CONFIG, OLD):
        if not several:
            several = _named(read_json(folder / name).get("chat_template"), name)
    if not several:
        return None
    if "default" not in several:
        raise ModelError(
            f"The model brings several chat templates and none is the default: {', '.join(sorted(several))}.", AGAIN
        )
    return ChatTemplate(*several["default"])


def _named(setting: Any, file: str) -> dict[str, tuple[str, str]]:
    """Templates by name, of a configuration: one alone, or a list or a mapping of them."""
    if isinstance(setting, str):
        setting = {"default": setting}
    elif isinstance(setting, list):
        setting = {str(part.get("name")): part.get("template") for part in setting if isinstance(part, dict)}
    if not isinstance(setting, dict):
        return {}
    where = f"{file}'s chat_template"
    return {
        name: (source, where if name == "default" else f"{where} {name}")
        for name, source in setting.items()
        if isinstance(source, str)
    }


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(f"{path.name} of the model is not UTF-8 text.", AGAIN) from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object in a model's folder, empty if the file is not there; raises `ModelError` if it is none."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ModelError(f"{path}{line} is not JSON: {error}.", "Fetch the model again, with all its files.") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds no JSON object.", "Fetch the model again, with all its files.")
    return content
