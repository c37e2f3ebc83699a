"""Rows to records: the shape is detected, named, and can be set."""

from __future__ import annotations

import string
from collections.abc import Callable
from contextlib import suppress
from functools import cache

from gemmalocal.data import cells, turns
from gemmalocal.data.cells import Columns, Unusable
from gemmalocal.data.remarks import Remarks
from gemmalocal.recipe import PromptTemplate
from gemmalocal.records import Message, Record

Reader = Callable[[str, Columns], Record]
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
ALWAYS = frozenset({*turns.SYSTEM, *turns.WEIGHTS})  # columns with a known meaning beside any shape's


def detect(columns: Columns) -> str:
    """The name of a row's shape; raises `Unusable` if none fits."""
    if turns.holder(columns):
        return "chat"
    if "instruction" in columns and any(name in columns for name in REPLIES):
        return "instruction"
    if _pair_of(columns) is not None:
        return "prompt"
    if "text" in columns:
        return "text"
    raise Unusable(f"has columns of no known shape (data.template makes text of any): {cells.names(columns)}")


def _pair_of(columns: Columns) -> tuple[str, str] | None:
    return next((pair for pair in PAIRS if pair[0] in columns and pair[1] in columns), None)


@cache
def _known(names: tuple[str, ...]) -> frozenset[str]:
    return ALWAYS.union(names)


def _plain_names(columns: Columns) -> Columns:
    """The columns by their names in small letters: `Question `, `System Prompt`."""
    return {str(name).strip().lower().replace(" ", "_"): value for name, value in columns.items()}


def _held(columns: Columns) -> Columns:
    """The columns that hold something: where files of several shapes were joined, each row has the names of all."""
    return {name: value for name, value in columns.items() if not cells.missing(value)}


class Shapes:
    """Rows of one source to records."""

    def __init__(self, shape: str, template: str | PromptTemplate | None, merge: bool, remarks: Remarks) -> None:
        self.shape = "template" if template else shape  # what the last row had; auto before the first
        self._auto = self.shape == "auto"
        self._template = _templated(template) if template else None
        self._merge, self._remarks = merge, remarks
        self._readers = {
            "chat": self._chat,
            "prompt": self._prompt,
            "instruction": self._instruction,
            "text": self._text,
        }

    def __call__(self, source: str, columns: Columns) -> Record:
        """A row as a record; raises `Unusable`. A template wins over the shape."""
        self._remarks.at(source)
        if self._template is not None:
            fill, used = self._template
            self._remarks.columns(columns, used)
            return fill(source, columns)
        if self._auto:
            self.shape, columns = self._detected(columns)
        return self._readers[self.shape](source, columns)

    def _detected(self, columns: Columns) -> tuple[str, Columns]:
        held = _held(columns) if None in columns.values() else columns
        try:
            return detect(held), held
        except Unusable as problem:
            refused = problem
        for named in (columns, _held(columns), _plain_names(_held(columns))):
            with suppress(Unusable):
                return detect(named), named
        if self.shape != "auto":
            return self.shape, columns  # its reader says what a row of the shape before it misses
        raise refused

    def _weighed(self, columns: Columns) -> None:
        if not turns.weighed(columns, self._remarks):
            raise Unusable("has a weight of 0, so that nothing of it is trained on")

    def _used(self, columns: Columns, *names: str, media: bool = True) -> None:
        """Say of a row which columns are used, and refuse what is not text."""
        cells.no_media(columns, media)
        self._weighed(columns)
        self._remarks.columns(columns, _known(names))

    def _talk(self, source: str, columns: Columns, told: list[Message], between: str = LINE) -> Record:
        told = list(turns.with_system(columns, told, self._remarks))
        return Record(source, turns.conversation(told, self._remarks, self._merge), between=between)

    def _prompt(self, source: str, columns: Columns) -> Record:
        asked, answered = _pair_of(columns) or next((pair for pair in PAIRS if pair[0] in columns), PAIRS[0])
        self._used(columns, asked, answered)
        prompt, completion = columns.get(asked), columns.get(answered)
        between = "" if (asked, answered) in AS_WRITTEN else LINE
        told: list[Message] = []
        if turns.is_turns(prompt):
            told += turns.messages(turns.listed(prompt), self._remarks, learned=False)
        else:
            told.append(Message("user", cells.content(columns, asked)))
        if turns.is_turns(completion):
            told += turns.messages(turns.listed(completion), self._remarks)
        else:
            told.append(Message("assistant", cells.content(columns, answered)))
        written = not turns.is_turns(prompt) and not turns.is_turns(completion)
        return self._talk(source, columns, told, between if written else LINE)

    def _instruction(self, source: str, columns: Columns) -> Record:
        answered = next((name for name in REPLIES if name in columns), REPLIES[0])
        about = next((name for name in MORE if not cells.missing(columns.get(name))), MORE[0])
        self._used(columns, "instruction", about, answered)
        question = cells.content(columns, "instruction")
        if not cells.missing(columns.get(about)):
            question = f"{question}\n\n{cells.content(columns, about)}"
        return self._talk(
            source, columns, [Message("user", question), Message("assistant", cells.content(columns, answered))]
        )

    def _text(self, source: str, columns: Columns) -> Record:
        self._used(columns, "text", media=False)
        for name in turns.SYSTEM:
            if not cells.missing(columns.get(name)):
                self._remarks.unused(name)
        return Record(source, text=cells.text(columns, "text"))

    def _chat(self, source: str, columns: Columns) -> Record:
        name = turns.holder(columns)
        told = turns.listed(columns.get(name))
        if not told:
            raise Unusable("has no list of messages")
        self._used(columns, name)
        return self._talk(source, columns, list(turns.messages(told, self._remarks)))


def _templated(template: str | PromptTemplate) -> tuple[Reader, frozenset[str]]:
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
