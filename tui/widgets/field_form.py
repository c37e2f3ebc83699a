"""A form made from a recipe's schema: choices where there are choices, defaults and bounds shown, problems in place."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from copy import copy, deepcopy
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Input, Label, Static

from gemmalocal.recipe import overrides, recipe_file, yaml_text
from tui.widgets.choice import Choice
from tui.widgets.field_section import FieldSection

LIST = ("[", "{")  # how a list, or one thing of it, begins
MORE = "general"  # the section of those that are in none


class FieldForm(VerticalScroll):
    """Fields of `schema` but those `without`; holds only what differs from the defaults, as a recipe file does.

    The `basic` ones come first, by the names that they are given there; the others are folded, section by section.
    `completions` are by key. What is said in one field may change what another one is by default: `completed` puts such
    defaults into the nested keys that are written down.
    """

    can_focus = False
    BINDINGS = [  # where a scroll has its own
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    class Edited(Message):
        """A field has changed."""

    def __init__(
        self,
        schema: type[BaseModel],
        without: Collection[str] = (),
        basic: Mapping[str, str] | None = None,
        completions: Mapping[str, Suggester] | None = None,
        completed: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    ) -> None:
        super().__init__()
        self._completed = completed
        basic, completions = basic or {}, completions or {}
        infos = {key: info for key, info in leaves(schema) if key not in without}
        ordered = [*(key for key in basic if key in infos), *(key for key in infos if key not in basic)]
        self._fields = {key: Field(key, infos[key], basic.get(key, ""), completions.get(key)) for key in ordered}
        self._basic = [key for key in ordered if key in basic]
        self._sections: dict[str, list[str]] = {}
        for key in ordered[len(self._basic) :]:
            self._sections.setdefault(key.rpartition(".")[0] or MORE, []).append(key)
        self._folds: dict[str, FieldSection] = {}

    def compose(self) -> ComposeResult:
        """The basic fields, then the sections."""
        yield from (self._fields[key] for key in self._basic)
        for name, keys in self._sections.items():
            fields = {self._fields[key].label: self._fields[key] for key in keys}
            self._folds[name] = FieldSection(name.replace(".", " ").replace("_", " "), fields)
            yield self._folds[name]

    def on_mount(self) -> None:
        """A form without basic fields, or with no more than these, is not folded."""
        if not self._basic:
            self._unfold(*self._sections)

    def _unfold(self, *names: str) -> None:
        for name in names:
            self._folds[name].fold(False)

    def _section_of(self, key: str) -> str | None:
        return next((name for name, keys in self._sections.items() if key in keys), None)

    def mark(self) -> None:
        """Mark what was changed, field by field and section by section."""
        changed = {key for key, field in self._fields.items() if field.mark()}
        for name, keys in self._sections.items():
            self._folds[name].count(len(changed.intersection(keys)))

    def on_resize(self) -> None:
        """What is written in stays in sight, whatever comes above or below."""
        if (at := self.screen.focused) is not None and self in at.ancestors:
            at.scroll_visible(animate=False)

    def fill(self, tree: dict[str, Any]) -> None:
        """Show a recipe's nested keys; says nothing of it."""
        with self.prevent(Input.Changed, Choice.Changed):
            for key, field in self._fields.items():
                field.fill(_at(tree, key))
        self._complete()

    def _complete(self) -> None:
        """Show in the fields that say nothing what they are by default, as the others stand."""
        tree = self._completed(self.values())
        with self.prevent(Input.Changed, Choice.Changed):
            for key, field in self._fields.items():
                if field.value() is None:
                    field.assume(_at(tree, key))

    def values(self) -> dict[str, Any]:
        """The nested keys, as they stand in a recipe file."""
        tree: dict[str, Any] = {}
        for key, field in self._fields.items():
            if (value := field.value()) is not None:
                *above, last = key.split(".")
                section = tree
                for part in above:
                    section = section.setdefault(part, {})
                section[last] = value
        return tree

    def focus_on(self, key: str) -> bool:
        """Go to the field of a key; whether there is one."""
        field = self._fields.get(key)
        if field is not None:
            if (section := self._section_of(key)) is not None:
                self._unfold(section)
            field.editor.focus()
        return field is not None

    def show(self, problems: dict[str, str]) -> None:
        """Each problem at its field; one of a whole section at the section's first."""
        messages: dict[str, str] = {}  # by the key of the field where each is shown
        for key, message in problems.items():
            own = next((name for name in self._fields if key == name or key.startswith(f"{name}.")), None)
            first = next((name for name in self._fields if name.startswith(f"{key}.")), next(iter(self._fields)))
            messages.setdefault(own or first, message)
        self._unfold(*{section for key in messages if (section := self._section_of(key)) is not None})
        for key, field in self._fields.items():
            field.show(messages.get(key, ""))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Pass it on."""
        event.stop()
        self._complete()
        self.post_message(self.Edited())

    def on_choice_changed(self, event: Choice.Changed) -> None:
        """Pass it on."""
        event.stop()
        self._complete()
        self.post_message(self.Edited())


class Field(Horizontal):
    """A label and an editor; a problem is put beneath."""

    def __init__(self, key: str, info: FieldInfo, label: str = "", completion: Suggester | None = None) -> None:
        super().__init__(classes="field")
        self._key, self._info, self._completion = key, info, completion
        self.label = label or key.rpartition(".")[2].replace("_", " ")
        self._changed = False
        self._read: tuple[str, Any] = ("", None)  # a text, and what it means
        self._choices = choices(info.annotation)
        default = info.get_default(call_default_factory=True)
        self._default = self._own_default = None if default is PydanticUndefined else default
        self.editor = Choice(self._choices, self._plain) if self._choices else self._input()
        self.editor.HELP = f"**{key}** {self.help}"  # type: ignore[misc]
        self._problem: Static | None = None

    @property
    def _plain(self) -> str:
        return _text(self._default, plain=True)

    @property
    def _is_text(self) -> bool:
        """Whether what is written is meant as it stands: text, or (where it looks so) a list."""
        return self._info.annotation is str or self._may_be_list

    @property
    def _may_be_list(self) -> bool:
        kinds = [get_origin(part) or part for part in map(_bare, get_args(self._info.annotation))]
        return str in kinds and list in kinds

    @property
    def help(self) -> str:
        """Description and bounds."""
        return " ".join(part for part in (self._info.description, bounds(self._info)) if part)

    def _input(self) -> Input:
        return Input(placeholder=self._placeholder, suggester=self._completion, compact=True)

    @property
    def _placeholder(self) -> str:
        default = "" if self._default in (None, []) else self._plain
        return default or ("required" if self._info.is_required() else "")

    def compose(self) -> ComposeResult:
        """Label, editor."""
        yield Label(self.label, classes="name")
        yield self.editor

    def mark(self) -> bool:
        """Show whether it is not as it is by default."""
        changed = self.value() is not None
        if changed != self._changed:
            self._changed = changed
            label = self.query_one(Label)
            label.update(f"{self.label} •" if changed else self.label)
            label.set_class(changed, "changed")
        return changed

    def fill(self, value: Any) -> None:
        """Show a value; None is the default."""
        if isinstance(self.editor, Input):
            self.editor.value = "" if value is None else _text(value, self._is_text)
        else:
            text = _text(self._default if value is None else value, plain=True)
            self.editor.value = text if text in self._choices else self._plain

    def assume(self, default: Any) -> None:
        """Say nothing, and be this by default; None is the schema's own."""
        self._default = self._own_default if default is None else default
        if isinstance(self.editor, Input):
            self.editor.placeholder = self._placeholder
        elif self._plain in self._choices:
            self.editor.value = self._plain

    def value(self) -> Any:
        """What stands there; None for the default."""
        text = str(self.editor.value)
        if isinstance(self.editor, Input):
            if not text.strip():
                return None
            text = text.strip()
            return text if self._is_text and not (text.startswith(LIST) and self._may_be_list) else self._meant(text)
        return None if text == self._plain else self._meant(text)

    def _meant(self, text: str) -> Any:
        """What a text means as YAML: parsed once, since all fields are asked after each key."""
        if text != self._read[0]:
            self._read = text, _parsed(text, self._info.annotation) if self._is_line else recipe_file.scalar(text)
        return deepcopy(self._read[1])

    @property
    def _is_line(self) -> bool:
        """Whether it is written in, and not chosen."""
        return isinstance(self.editor, Input)

    def show(self, problem: str) -> None:
        """A problem, or none."""
        self.editor.set_class(bool(problem), "wrong")
        if self._problem is not None and not problem:
            self._problem.remove()
            self._problem = None
        elif self._problem is not None:
            self._problem.update(problem)
        elif problem and isinstance(self.parent, Widget):
            self._problem = Static(problem, classes="problem", markup=False)
            self.parent.mount(self._problem, after=self)


def leaves(schema: type[BaseModel], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """The fields that hold a value, by their whole key; those of no section first."""
    sections = []
    for name, info in schema.model_fields.items():
        if (section := _section(info.annotation)) is not None:
            sections.append((f"{above}{name}.", section, info.is_required()))
        else:
            yield f"{above}{name}", info
    for key, section, needed in sections:
        for name, info in leaves(section, key):
            yield name, info if needed or not info.is_required() else _optional(info)


def _at(tree: Any, key: str) -> Any:
    """What nested keys say of a whole one; None if nothing."""
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def _optional(info: FieldInfo) -> FieldInfo:
    """A field that is needed only if another of its section, which may be left out, is given."""
    info = copy(info)
    info.default = None
    return info


def _bare(annotation: Any) -> Any:
    """A type without what is said of it."""
    return _bare(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


def _section(annotation: Any) -> type[BaseModel] | None:
    """The schema of a section, of one that may be left out too; None for a value."""
    if get_origin(annotation) in (Union, UnionType):
        parts = [part for part in get_args(annotation) if part is not NoneType]
        annotation = parts[0] if len(parts) == 1 else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def choices(annotation: Any) -> list[str]:
    """The words of a type that has only such: a Literal, a bool, or a union of these; else none."""
    if annotation is bool:
        return ["true", "false"]
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    if get_origin(annotation) in (Union, UnionType):
        parts = [choices(part) for part in get_args(annotation) if part is not NoneType]
        return sum(parts, []) if all(parts) else []
    return []


def bounds(info: FieldInfo) -> str:
    """In words: from 1 to 512."""
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    limits = [f"{word} {getattr(part, sign):g}" for part in info.metadata for sign, word in words.items()
             if getattr(part, sign, None) is not None]  # fmt: skip
    return f"({', '.join(limits)})" if limits else ""


def _parsed(text: str, annotation: Any) -> Any:
    """What is written, to a key of such a type, as after --set: braces are a template where that takes text."""
    try:
        return overrides.value(text, annotation)
    except yaml_text.NotUnderstood:
        return text


def _text(value: Any, plain: bool) -> str:
    """A value in a field of one line: itself if YAML reads it back, else as JSON, which is YAML too."""
    if isinstance(value, str) and "\n" not in value and (plain or recipe_file.scalar(value) == value):
        return value
    if isinstance(value, float) and not isinstance(value, bool):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False)
