"""How the rows of a dataset are laid out as text: one way, decided by all of them, and remembered beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gemmalocal.data import token_store
from gemmalocal.data.chat_template import ChatTemplate, chosen
from gemmalocal.data.tokenizer import TURN_ENDS, TURN_STARTS, Tokenizer
from gemmalocal.errors import DatasetError
from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.recipe.data_spec import DataSpec
from gemmalocal.records import Message, Record, RowKind
from gemmalocal.tool_calls.known_templates import remark

LayoutForm = Literal["text", "prompt", "chat"]


class Mixed(Exception):
    """Single exchanges were laid out as plain text, and there is a conversation beside them."""


@dataclass(frozen=True)
class Layout:
    """Rows of a `text` go on, those of a `prompt` complete it (`between` stands after it), those of `chat` reply."""

    form: LayoutForm
    between: str = ""
    tools: bool = False  # whether rows have tools, or call some

    def prompt_text(self, tokenizer: Tokenizer, messages: Sequence[Message], tools: str = "") -> str:
        """The text that the reply to the last message goes on from; what was said before counts in a chat alone."""
        first = messages[0].content
        if self.form == "chat" and (tools or any(message.tool_use for message in messages)):
            return tokenizer.render(messages, ask=True, tools=tools)
        if self.form == "chat" and not (len(messages) == 1 and any(start in first for start in TURN_STARTS)):
            return tokenizer.render(messages, ask=True)
        if self.form == "chat":  # it is written in turns already
            return tokenizer.bos + first.removeprefix(tokenizer.bos)
        system = f"{messages[0].content}\n\n" if messages[0].role == "system" else ""
        return tokenizer.bos + system + messages[-1].content + self.between

    def template(self, tokenizer: Tokenizer) -> str | None:
        """The chat template of such rows for programs that know only the model; None if the model's own will do."""
        if self.form == "chat" and self.tools and not tokenizer.knows_tools:
            return tokenizer.tools_template
        if self.form == "chat":
            return None if tokenizer.template.own else tokenizer.template.source
        if tokenizer.has_template:
            return None
        between = self.between.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
        return (
            "{{ bos_token }}{% if messages[0].role == 'system' %}{{ messages[0].content ~ '\\n\\n' }}{% endif %}"
            "{{ messages[-1].content ~ '" + between + "' }}"
        )


class Tally:
    """Sees every record, and knows at the end how they are laid out; `turns` puts single exchanges in turns too."""

    def __init__(self, tokenizer: Tokenizer, turns: bool) -> None:
        self._tokenizer, self.turns = tokenizer, turns
        self._ends = [end for end in TURN_ENDS if tokenizer.encoder.token_to_id(end) is not None]
        self.texts = self.pairs = self.talks = 0
        self._written = 0  # texts and pairs that bring turns of their own
        self.betweens = Counter[str]()  # of pairs
        self.calling = 0  # records with tools

    def add(self, record: Record) -> None:
        """Count one more; raises `Mixed` where the layout so far was wrong."""
        self.calling += bool(record.tools) or any(turn.tool_use is not None for turn in record.messages)
        if not record.messages:
            self.texts += 1
        elif record.is_exchange:
            self.pairs += 1
            self.betweens[record.between] += 1
        else:
            self.talks += 1
        if not record.messages or record.is_exchange:
            text = record.text or "".join(message.content for message in record.messages + record.rejected)
            self._written += any(end in text for end in self._ends)
        if self.pairs and self.talks and not self.turns and not self._tokenizer.has_template:
            raise Mixed

    @property
    def layout(self) -> Layout:
        """That of all the records."""
        in_turns = self._tokenizer.has_template or self.turns or self.talks
        if self.calling:
            return Layout("chat", tools=True)
        if self.texts + self.pairs == self._written and not self.talks:
            return Layout("chat")  # each was written in turns already
        if self.pairs + self.talks == 0:
            return Layout("text")
        if in_turns:
            return Layout("chat")
        return Layout("prompt", self.betweens.most_common(1)[0][0])

    @property
    def notice(self) -> str | None:
        """What a person should know of rows that are not alike, or that have tools."""
        if self.calling:
            return self._about_tools
        if self._tokenizer.has_template:
            return None
        if self.turns and self.talks:
            return (
                "the model has no chat template, and "
                f"{counted(self.talks, 'row is a conversation', 'rows are conversations')}: "
                f"all are written in turns, also the {self.pairs} with a single exchange"
            )
        if len(self.betweens) > 1 and self.layout.form == "prompt":
            (often, many), (_, few) = self.betweens.most_common(2)
            how = "a line end" if often else "nothing"
            return (
                f"rows differ in what follows the prompt: {how} in {many}, something else in {few}; "
                f"a chat does as the {many} do"
            )
        return None

    @property
    def _about_tools(self) -> str:
        """How tools are written, by which version of a template."""
        tokenizer, rows = self._tokenizer, plural(self.calling, "row has", "rows have")
        if tokenizer.knows_tools:
            name = tokenizer.grammar.name if tokenizer.grammar else "unknown"
            how = f"by the model's own template, in the grammar {name}"
        else:
            how = "in the plain layout, since the model's own template knows none"
        return f"{self.calling} {rows} tools: they are written {how}; {remark(tokenizer.template.source)}"


def about(layout: Layout, template: ChatTemplate, kind: RowKind = "") -> dict[str, Any]:
    """What a store keeps of a layout and of the kind of its rows; a person's template whole, since its file may go."""
    stored = {"plain": layout.form == "text", "between": layout.between, "form": layout.form}
    stored |= {"rows": kind} if kind else {}
    stored |= {"tools": True} if layout.tools else {}
    person_template = {"source": template.source, "file": template.file}
    return stored if template.own or not template.wraps else {**stored, "chat_template": person_template}


def tokenizer(folder: Path, data: DataSpec, examples: Path) -> Tokenizer:
    """The tokenizer of the model in `folder` for the rows of a recipe, with the template that its `examples` had."""
    try:
        stored = token_store.about(examples).get("chat_template") if token_store.exists(examples) else None
    except DatasetError:  # it is damaged, and may be mended with what the recipe says
        stored = None
    template = ChatTemplate(stored["source"], stored["file"]) if stored else chosen(folder, data.chat_template)
    return Tokenizer(folder, data.thinking, template)


def remembered(examples: Path, data: DataSpec, tokenizer: Tokenizer) -> Layout:
    """The layout of a run's examples; of older runs, what their first row and their recipe tell."""
    if not token_store.exists(examples):
        return Layout(layout_form(tokenizer, isinstance(data.template, str) or data.shape == "text", []))
    train, _, about = token_store.load(examples)
    stored_form: LayoutForm = about.get("form") or layout_form(
        tokenizer, about["plain"], train[0].ids.tolist() if len(train) else []
    )
    return Layout(stored_form, about["between"] if stored_form == "prompt" else "", bool(about.get("tools")))


def layout_form(tokenizer: Tokenizer, plain: bool, example: Sequence[int]) -> LayoutForm:
    """Of rows that are `plain` text or not, by the ids of one `example` if there is one.

    A model without a chat template may still have been trained on turns: then the example has the end of one.
    """
    if plain:
        return "text"
    turns = any(end in tokenizer.decode(example, special=True) for end in TURN_ENDS)
    return "chat" if tokenizer.has_template or turns else "prompt"
