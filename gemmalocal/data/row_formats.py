"""Rows to records: the shape is detected, named, and can be set."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gemmalocal.data import cells, turns
from gemmalocal.data.cells import Columns, UnusableRow
from gemmalocal.data.remarks import Remarks, Unused
from gemmalocal.recipe.schema import PromptTemplate
from gemmalocal.records import Message, Record

RowReader = Callable[[str, Columns], Record]
LINE = "\n"  # between a question and its answer, for a model without a chat template
AS_WRITTEN = (("prompt", "completion"), ("prompt", "response"), ("question", "answer"))  # joined byte by byte
QUESTIONS = ("prompt", "question", "query", "input", "inputs", "problem", "source", "user", "human")
ANSWERS = ("response", "answer", "output", "completion", "solution", "target", "targets", "assistant", "reply")
PAIRS = (
    *AS_WRITTEN,
    *((asked, answered) for asked in QUESTIONS for answered in ANSWERS if (asked, answered) not in AS_WRITTEN),
)
REPLIES = ("output", "response", "completion", "answer")  # to an instruction
MORE = ("input", "context")  # what an instruction is about: Alpaca's name, and Dolly's
SORTS = 64  # of rows, by the names of their columns, that are remembered


def detect(columns: Columns) -> str:
    """The name of a row's shape; raises `UnusableRow` if none fits."""
    if turns.holder(columns):
        return "chat"
    if "instruction" in columns and any(name in columns for name in REPLIES):
        return "instruction"
    if _pair_of(columns) is not None:
        return "prompt"
    if "text" in columns:
        return "text"
    raise UnusableRow(f"has columns of no known shape (data.template makes text of any): {cells.names(columns)}")


def _pair_of(columns: Columns) -> tuple[str, str] | None:
    return next((pair for pair in PAIRS if pair[0] in columns and pair[1] in columns), None)


def _plain_names(columns: Columns) -> Columns:
    """The columns by their names in small letters: `Question `, `System Prompt`."""
    return {str(name).strip().lower().replace(" ", "_"): value for name, value in columns.items()}


def _held(columns: Columns) -> Columns:
    """The columns that hold something: where files of several shapes were joined, each row has the names of all."""
    return {name: value for name, value in columns.items() if not cells.missing(value)}


@dataclass(frozen=True)
class _Sort:
    """How rows with columns of the same names are read: once decided, quick for each."""

    shape: str
    read: Callable[[str, Columns, _Sort], Record]
    unused: Unused
    names: tuple[str, str] = ("", "")  # of what is asked (or all of it), and what is answered
    media: bool = False  # whether columns may hold images and the like
    weighed: bool = False
    system: bool = False
    renamed: bool = False  # whether the columns are meant by their names in small letters


class RowFormats:
    """Rows of one source to records."""

    def __init__(self, shape: str, template: str | PromptTemplate | None, merge: bool, remarks: Remarks) -> None:
        self.shape = "template" if template else shape  # what the last row had; auto before the first
        self._auto = self.shape == "auto"
        self._template = _templated(template) if template else None
        self._merge, self._remarks = merge, remarks
        self._sorts: dict[tuple[str, ...], _Sort] = {}

    def __call__(self, source: str, columns: Columns) -> Record:
        """A row as a record; raises `UnusableRow`. A template wins over the shape."""
        self._remarks.source = source
        names = tuple(columns)
        sort = self._sorts.get(names)
        if sort is None or None in columns.values():
            sort = self._sorted(names, columns)
        if sort.renamed:
            columns = _plain_names(columns)
        self.shape = sort.shape
        if sort.media:
            cells.no_media(columns, sort.shape != "text")
        if sort.weighed and not turns.weighed(columns, self._remarks):
            raise UnusableRow("has a weight of 0, so that nothing of it is trained on")
        sort.unused.look(columns)
        return sort.read(source, columns, sort)

    def _sorted(self, names: tuple[str, ...], columns: Columns) -> _Sort:
        """Decide how such rows are read; where nothing stands in a column, it is as if that was not there."""
        held = tuple(_held(columns)) if None in columns.values() else names
        if (known := self._sorts.get(held)) is not None and held != names:
            return known
        sort = self._decided(columns, held)
        if any(name in columns for name in turns.SAID):  # these may hold a conversation, or text
            return sort
        if len(self._sorts) == SORTS:
            self._sorts.clear()
        self._sorts[held] = sort
        return sort

    def _decided(self, columns: Columns, held: tuple[str, ...]) -> _Sort:
        if self._template is not None:
            fill, used = self._template
            unused = self._remarks.watch(name for name in columns if name not in used)
            return _Sort("template", lambda source, row, sort: fill(source, row), unused)
        shape, columns, renamed = self._detected(columns, held)
        names = _names(shape, columns)
        known = {*names, *turns.WEIGHTS}
        known |= {"text": set[str](), "instruction": {*turns.SYSTEM, *MORE}}.get(shape, {*turns.SYSTEM})
        return _Sort(
            shape,
            {"chat": self._chat, "prompt": self._prompt, "instruction": self._instruction, "text": self._text}[shape],
            self._remarks.watch(name for name in columns if name not in known),
            names,
            media=not cells.MEDIA.keys().isdisjoint(columns),
            weighed=any(name in columns for name in turns.WEIGHTS),
            system=any(name in columns for name in turns.SYSTEM),
            renamed=renamed,
        )

    def _detected(self, columns: Columns, held: tuple[str, ...]) -> tuple[str, Columns, bool]:
        """The shape, the columns by which it was found, and whether these have new names."""
        if not self._auto:
            return self.shape, columns, False
        present = {name: columns[name] for name in held}
        try:
            return detect(present), present, False
        except UnusableRow as problem:
            refused = problem
        full = _held(columns)
        for named, renamed in ((columns, False), (full, False), (_plain_names(full), True)):
            with suppress(UnusableRow):
                return detect(named), named, renamed
        if self.shape != "auto":
            return self.shape, columns, False  # its reader says what a row of the shape before it misses
        raise refused

    def _talk(self, source: str, columns: Columns, sort: _Sort, told: Sequence[Message], between: str = LINE) -> Record:
        if sort.system:
            told = turns.with_system(columns, told, self._remarks)
        return Record(source, turns.conversation(told, self._remarks, self._merge), between=between)

    def _prompt(self, source: str, columns: Columns, sort: _Sort) -> Record:
        asked, answered = sort.names
        prompt, completion = columns.get(asked, ""), columns.get(answered, "")
        between = "" if sort.names in AS_WRITTEN else LINE
        if _plain(prompt) and _plain(completion) and not sort.system:  # nearly all
            return Record(source, (Message("user", prompt), Message("assistant", completion)), between=between)
        if turns.is_turns(prompt) or turns.is_turns(completion):
            told = [*self._said(columns, asked, "user"), *self._said(columns, answered, "assistant")]
            return self._talk(source, columns, sort, told)
        pair = Message("user", cells.content(columns, asked)), Message("assistant", cells.content(columns, answered))
        return (
            self._talk(source, columns, sort, pair, between) if sort.system else Record(source, pair, between=between)
        )

    def _said(self, columns: Columns, name: str, role: str) -> Sequence[Message]:
        """One side of a prompt and completion that are not both text; the prompt is not learned."""
        if not turns.is_turns(columns.get(name)):
            return [Message(role, cells.content(columns, name))]
        return list(turns.messages(turns.listed(columns[name]), self._remarks, learned=role == "assistant"))

    def _instruction(self, source: str, columns: Columns, sort: _Sort) -> Record:
        asked, answered = sort.names
        question = cells.content(columns, asked)
        for name in MORE:
            if not cells.missing(columns.get(name)):
                question = f"{question}\n\n{cells.content(columns, name)}"
        pair = Message("user", question), Message("assistant", cells.content(columns, answered))
        return self._talk(source, columns, sort, pair) if sort.system else Record(source, pair, between=LINE)

    def _text(self, source: str, columns: Columns, sort: _Sort) -> Record:
        return Record(source, text=cells.text(columns, "text"))

    def _chat(self, source: str, columns: Columns, sort: _Sort) -> Record:
        told = turns.listed(columns.get(turns.holder(columns)))
        if not told:
            raise UnusableRow("has no list of messages")
        return self._talk(source, columns, sort, list(turns.messages(told, self._remarks)))


def _plain(value: Any) -> bool:
    return value.__class__ is str and bool(value) and not value.isspace()


def _names(shape: str, columns: Columns) -> tuple[str, str]:
    """The columns that a shape uses: what is asked (or all of it), and what is answered."""
    if shape == "prompt":
        return _pair_of(columns) or next((pair for pair in PAIRS if pair[0] in columns), PAIRS[0])
    if shape == "instruction":
        return "instruction", next((name for name in REPLIES if name in columns), REPLIES[0])
    return turns.holder(columns) if shape == "chat" else shape, ""


def _templated(template: str | PromptTemplate) -> tuple[RowReader, frozenset[str]]:
    """A reader by a template, and the columns that it names."""
    if isinstance(template, str):
        whole, used = _filler(template)
        return lambda source, columns: Record(source, text=whole(columns)), used
    (prompt, asked), (completion, answered) = _filler(template.prompt), _filler(template.completion)

    def fill(source: str, columns: Columns) -> Record:
        return Record(source, (Message("user", prompt(columns)), Message("assistant", completion(columns))))

    return fill, asked | answered


def _filler(template: str) -> tuple[Callable[[Columns], str], frozenset[str]]:
    """A function that puts a row's columns into a template; a name is a column as it is, dots and all."""
    parts = [(literal, name) for literal, name, _, _ in string.Formatter().parse(template)]

    def fill(columns: Columns) -> str:
        return "".join(literal + (cells.text(columns, name) if name else "") for literal, name in parts)

    return fill, frozenset(name for _, name in parts if name)
