"""The one place where text becomes ids: a model folder's tokenizer.json and chat template."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer as Encoder

from gemmalocal.errors import ModelError
from gemmalocal.records import Message

TURNS = (  # Gemma 1 to 3, for models that bring no template; the published one, in our words
    "{{ bos_token }}{% set system, turns = '', messages %}"
    "{% if messages and messages[0].role == 'system' %}"
    "{% set system, turns = messages[0].content ~ '\n\n', messages[1:] %}{% endif %}"
    "{% for message in turns %}<start_of_turn>"
    "{{ 'model' if message.role == 'assistant' else message.role }}\n"
    "{{ ((system if loop.first else '') ~ message.content) | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
TURN_ENDS = ("<end_of_turn>", "<turn|>")


class TemplateRefused(Exception):
    """A conversation that the model's chat template does not allow; the message says why."""


class Tokenizer:
    """Text to ids and back, and conversations to text in the model's own template."""

    def __init__(self, folder: Path, thinking: bool = False) -> None:
        """Read a model folder; raises `ModelError` if it has no usable tokenizer."""
        if not (folder / "tokenizer.json").is_file():
            raise ModelError(f"{folder} has no tokenizer.json.", "Fetch the model again, with all its files.")
        self._encoder = Encoder.from_file(str(folder / "tokenizer.json"))
        self._thinking = thinking
        config = _read_json(folder / "tokenizer_config.json")
        self.bos = _content(config.get("bos_token")) or "<bos>"
        self.eos = _content(config.get("eos_token")) or "<eos>"
        template = chat_template(folder)
        self.has_template = template is not None
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = _refuse
        self._template = environment.from_string(TURNS if template is None else template)
        self.folds_system = "<turn|>" not in str(template)  # Gemma 1 to 3 have no system role
        self.bos_id = self._id(self.bos)
        ends = [self._encoder.token_to_id(text) for text in (self.eos, *TURN_ENDS)]
        stops = _read_json(folder / "generation_config.json").get("eos_token_id", [])
        self.stop_ids = {end for end in ends if end is not None} | set(stops if isinstance(stops, list) else [stops])

    def _id(self, text: str) -> int:
        number = self._encoder.token_to_id(text)
        if number is None:
            raise ModelError(f"The tokenizer does not know its own token {text}.", "Fetch the model again.")
        return int(number)

    @property
    def encoder(self) -> Encoder:
        """The library's own tokenizer, for those who cut texts by its tokens."""
        return self._encoder

    def encode(self, text: str) -> list[int]:
        """The ids of a text, with nothing added."""
        return list(self._encoder.encode(text, add_special_tokens=False).ids)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each of many texts, on all cores."""
        found = self._encoder.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in found]

    def decode(self, ids: Sequence[int], special: bool = False) -> str:
        """The text of ids; special tokens are left out unless `special`."""
        return str(self._encoder.decode(list(ids), skip_special_tokens=not special))

    def render(self, messages: Sequence[Message], ask: bool) -> str:
        """A conversation in the model's template; `ask` opens the model's turn. Raises `TemplateRefused`."""
        turns = [{"role": message.role, "content": message.content} for message in self._folded(messages)]
        try:
            return self._template.render(
                messages=turns,
                bos_token=self.bos,
                eos_token=self.eos,
                add_generation_prompt=ask,
                enable_thinking=self._thinking,
            )
        except TemplateError as error:
            raise TemplateRefused(f"does not fit the chat template: {error}") from error

    def _folded(self, messages: Sequence[Message]) -> Sequence[Message]:
        if not self.folds_system or not messages or messages[0].role != "system":
            return messages
        if len(messages) < 2:
            raise TemplateRefused("has a system message and nothing else")
        first = messages[1]
        return [Message(first.role, f"{messages[0].content}\n\n{first.content}"), *messages[2:]]


def chat_template(folder: Path) -> str | None:
    """The Jinja template that a model's folder brings, in a file of its own or its tokenizer's configuration."""
    own = folder / "chat_template.jinja"
    if own.is_file():
        return own.read_text(encoding="utf-8")
    found = _read_json(folder / "tokenizer_config.json").get("chat_template")
    return found if isinstance(found, str) else None


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _content(token: Any) -> str | None:
    return token.get("content") if isinstance(token, dict) else token


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
