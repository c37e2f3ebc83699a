"""The one place where text becomes ids: a model folder's tokenizer.json and chat template."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Template
from tokenizers import Tokenizer as Encoder

from gemmalocal.data import tool_templates
from gemmalocal.data.chat_template import CONFIG, TURNS, TURNS_4, ChatTemplate, chosen, read_json
from gemmalocal.data.tool_templates import ToolForm
from gemmalocal.errors import ModelError
from gemmalocal.records import Message
from gemmalocal.templates.sandbox import TemplateFault, TemplateRaised, Templates
from gemmalocal.tool_calls import grammars
from gemmalocal.tool_calls.grammars import Grammar

__all__ = ["TURNS", "TURN_ENDS", "TURN_STARTS", "TemplateRefused", "Tokenizer"]
TURN_STARTS = ("<start_of_turn>", "<|turn>")
TURN_ENDS = ("<end_of_turn>", "<turn|>")
MEND = "Repair it, or take another: --set data.chat_template=FILE, or none for rows that are written in turns already."
MARK = re.compile(r"<[^<>\[\]\s]{1,60}>|\[[^<>\[\]\s]{1,60}\]")
HTML = re.compile(
    r"</?(?:a|b|blockquote|body|br|caption|code|div|em|font|footer|h[1-6]|html|i|iframe|img|li|ol|p|pre|s|script|span|"
    r"strong|sub|sup|table|tbody|td|tfoot|th|thead|tr|u|ul)>"
)
PROBE = "\ue0f0"  # a private character, which no template has


class TemplateRefused(Exception):
    """A conversation that the model's chat template does not allow; the message says why, as a verb's phrase."""


class Tokenizer:
    """Text to ids and back, and conversations to text in the model's own template, or in the one that is given."""

    def __init__(self, folder: Path, thinking: bool = False, template: ChatTemplate | None = None) -> None:
        """Read a model folder; raises `ModelError` if it has no usable tokenizer or chat template."""
        if not (folder / "tokenizer.json").is_file():
            raise ModelError(f"{folder} has no tokenizer.json.", "Fetch the model again, with all its files.")
        self._encoder = _encoder(folder / "tokenizer.json")
        self._thinking = thinking
        config = read_json(folder / CONFIG)
        self._special = _special(config)
        self.bos, self.eos = self._special["bos_token"], self._special["eos_token"]
        self.template = self._for_vocabulary(template or chosen(folder, None))
        self.has_template = self.template.wraps
        self._templates = Templates()
        try:
            self._compiled = self._templates.compile(self.template.source, self.template.file)
        except TemplateFault as fault:
            raise _broken(fault) from fault
        self.fault = ""  # of the template, the last one that left a conversation out
        self.bos_id = self._id(self.bos)
        ends = [self._encoder.token_to_id(text) for text in (self.eos, *TURN_ENDS)]
        stops = read_json(folder / "generation_config.json").get("eos_token_id", [])
        self.stop_ids = {end for end in ends if end is not None} | set(stops if isinstance(stops, list) else [stops])
        grammar = grammars.of_template(self.template.source)
        if grammar and grammar.within and (mark := self._encoder.token_to_id(grammar.answer_start)) is not None:
            self.stop_ids.add(mark)  # what follows a call is for a tool to say

    def _for_vocabulary(self, template: ChatTemplate) -> ChatTemplate:
        """A template whose marks are this vocabulary's: Gemma 4 has turns of its own."""
        old, new = (self._encoder.token_to_id(start) is not None for start in TURN_STARTS)
        return replace(template, source=TURNS_4) if template.source == TURNS and new and not old else template

    def _id(self, text: str) -> int:
        number = self._encoder.token_to_id(text)
        if number is None:
            raise ModelError(f"The tokenizer does not know its own token {text}.", "Fetch the model again.")
        return int(number)

    @property
    def encoder(self) -> Encoder:
        """The library's own tokenizer, for those who cut texts by its tokens."""
        return self._encoder

    @cached_property
    def control_tokens(self) -> frozenset[str]:
        """Texts that are read as one token with a meaning to the model, wherever they stand in a row.

        The special tokens, and of the others that were added those that look like a mark and are no HTML.
        """
        added = self._encoder.get_added_tokens_decoder().values()
        return frozenset(
            token.content
            for token in added
            if token.special or (MARK.fullmatch(token.content) and not HTML.fullmatch(token.content))
        )

    def encode(self, text: str) -> list[int]:
        """The ids of a text, with nothing added: no <bos>, no <eos>."""
        return list(self._encoder.encode(text, add_special_tokens=False).ids)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each of many texts, on all cores."""
        encodings = self._encoder.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[int], special: bool = False) -> str:
        """The text of ids; special tokens are left out unless `special`, but for those that calls are written with."""
        if not special and self._hidden:
            ids, special = [number for number in ids if number not in self._hidden], True
        return str(self._encoder.decode(list(ids), skip_special_tokens=not special))

    @cached_property
    def _hidden(self) -> frozenset[int]:
        """Ids of special tokens that are no text, where calls are written with others that are."""
        marks = self.grammar.marks if self.grammar else ()
        added = self._encoder.get_added_tokens_decoder()
        special = {number: token.content for number, token in added.items() if token.special}
        if not any(content in marks for content in special.values()):
            return frozenset()
        return frozenset(number for number, content in special.items() if content not in marks)

    def render(self, messages: Sequence[Message], ask: bool, tools: str = "") -> str:
        """A conversation in the model's template; `ask` opens the model's turn, `tools` are as a record has them.

        Raises `TemplateRefused` for a conversation that does not fit, `ModelError` for a template that fits none.
        """
        try:
            return self._filled(self._folded(messages), ask, tools)
        except TemplateRaised as refusal:
            raise TemplateRefused(f"does not fit the chat template: {refusal}") from refusal
        except TemplateFault as fault:
            if fault.endless or self._fits_none():
                raise _broken(fault) from fault
            self.fault = str(fault)
            raise TemplateRefused(f"does not fit the chat template: {fault}") from fault

    def _filled(self, messages: Sequence[Message], ask: bool, tools: str = "") -> str:
        if tools or any(message.tool_use for message in messages):
            plain, template = self.tool_form.messages(messages), self._compiled_for_tools
        else:
            plain = [{"role": message.role, "content": message.content} for message in messages]
            template = self._compiled
        return self._render(template, plain, ask, tools, len(tools) + sum(len(turn.content) for turn in messages))

    def _render(self, template: Template, messages: object, ask: bool, tools: str, characters: int) -> str:
        values = {
            **self._special,
            "messages": messages,
            "tools": tool_templates.tools_in(tools),
            "documents": None,
            "add_generation_prompt": ask,
            "enable_thinking": self._thinking,
        }
        return self._templates.render(template, values, characters)

    @cached_property
    def knows_tools(self) -> bool:
        """Whether the template itself has a place for tools."""
        tools = json.dumps([tool_templates.TOOL], ensure_ascii=False)
        with suppress(TemplateRaised, TemplateFault):
            asked = [{"role": "user", "content": "a"}]
            return tool_templates.PROBE in self._render(self._compiled, asked, True, tools, 0)
        return False

    @cached_property
    def tools_template(self) -> str:
        """The template by which conversations with tools are written: the plain layout before one that knows none."""
        return self.template.source if self.knows_tools else tool_templates.PLAIN_TOOLS + self.template.source

    @cached_property
    def _compiled_for_tools(self) -> Template:
        if self.knows_tools:
            return self._compiled
        return self._templates.compile(self.tools_template, self.template.file)

    @cached_property
    def grammar(self) -> Grammar | None:
        """How the model writes calls; None for a template with tools that writes them in a way that is not known."""
        return grammars.of_template(self.tools_template)

    @cached_property
    def tool_form(self) -> ToolForm:
        """In which keys the template looks for a tool's answer: those in which it writes one."""
        for form in tool_templates.FORMS if self.knows_tools else ():
            answer = tool_templates.OBJECT if form.objects else tool_templates.TEXT
            with suppress(TemplateRaised, TemplateFault):
                turns = form.messages([*tool_templates.ASKED, answer])
                text = self._render(self._compiled, turns, False, "", 0)
                if self._holds_answer(text, form):
                    return form
        return ToolForm()

    def _holds_answer(self, text: str, form: ToolForm) -> bool:
        """Whether a tool's answer stands in a text where it should, an object not as Python would write it."""
        mark = self.grammar.answer_start if self.grammar else ""
        wanted = f"c:{self.grammar.quote}" if form.objects and self.grammar and self.grammar.quote else ""
        return mark in text and f"{wanted}{tool_templates.PROBE}" in text and not (form.objects and not wanted)

    @cached_property
    def folds_system(self) -> bool:
        """Whether the template has no place for a system's text, as those of Gemma 1 and 2: then it goes before the
        first question."""
        try:
            return PROBE not in self._filled([Message("system", PROBE), Message("user", "a")], True)
        except TemplateRaised:
            return True
        except TemplateFault:
            return False

    @cached_property
    def opening(self) -> str:
        """What the template opens a reply with when it asks for one, but leaves out of history; "" if nothing."""
        question = Message("user", "a")
        try:
            prompt = self._filled([question], True)
            conversation = self._filled([question, Message("assistant", PROBE)], False)
        except (TemplateRaised, TemplateFault):
            return ""
        return prompt[len(os.path.commonprefix([prompt, conversation])) :]

    def _fits_none(self) -> bool:
        """Whether the template is at fault even for a single question."""
        try:
            self._filled([Message("user", "a")], True)
        except TemplateFault:
            return True
        except TemplateRaised:
            return False
        return False

    def _folded(self, messages: Sequence[Message]) -> Sequence[Message]:
        if not messages or messages[0].role != "system":
            return messages
        if len(messages) < 2:
            raise TemplateRefused("has a system message and nothing else")
        if not self.folds_system:
            return messages
        first = messages[1]
        return [Message(first.role, f"{messages[0].content}\n\n{first.content}"), *messages[2:]]


def _encoder(file: Path) -> Encoder:
    try:
        return Encoder.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise ModelError(
            f"{file} is damaged: {str(error)[:80]}", "Fetch the model again, with all its files."
        ) from error


def broken(fault: str) -> ModelError:
    """What is said of a template that is at fault."""
    return ModelError(f"The chat template cannot be used: {fault}.", MEND)


def _broken(fault: TemplateFault) -> ModelError:
    return broken(str(fault))


def _special(config: dict[str, Any]) -> dict[str, str]:
    """The tokenizer's special tokens by their names in templates, such as `bos_token`."""
    named = {name: value for name, value in config.items() if name.endswith("_token")}
    more = config.get("extra_special_tokens")
    texts = {name: _content(value) for name, value in {**named, **(more if isinstance(more, dict) else {})}.items()}
    return {"bos_token": "<bos>", "eos_token": "<eos>", **{name: text for name, text in texts.items() if text}}


def _content(token: Any) -> str:
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""
