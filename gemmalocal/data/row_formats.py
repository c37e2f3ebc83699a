"""Rows to records: the shape is detected, named, and can be set."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gemmalocal.data import cells, preferences, thumbs, tool_layouts, tool_rows, turns
from gemmalocal.data.cells import Columns, UnusableRow
from gemmalocal.data.preferences import LINE, Compared
from gemmalocal.data.remarks import WEIGHED, Remarks, Unused
from gemmalocal.recipe.data_spec import PromptTemplate
from gemmalocal.records import Message, Record, RowKind

RowReader = Callable[[str, Columns], Record]
AS_WRITTEN = (("prompt", "completion"), ("prompt", "response"), ("question", "answer"))  # joined byte by byte
QUESTIONS = ("prompt", "question", "query", "input", "inputs", "problem", "source", "user", "human")
ANSWERS = ("response", "answer", "output", "completion", "solution", "target", "targets", "assistant", "reply")
PAIRS = (
    *AS_WRITTEN,
    *(
        (question_name, answer_name)
        for question_name in QUESTIONS
        for answer_name in ANSWERS
        if (question_name, answer_name) not in AS_WRITTEN
    ),
)
REPLIES = ("output", "response", "completion", "answer")  # to an instruction
MORE = ("input", "context")  # what an instruction is about: Alpaca's name, and Dolly's
MOST_PLANS = 64  # of rows, by the names of their columns, that are remembered


def detect(columns: Columns, use: RowKind | None = "") -> str:
    """The name of a row's shape; raises `UnusableRow` if none fits. Where rows are `rated`, 1 and 0 are labels too."""
    if Compared.of(columns):
        return "preference"
    shape = _detect_answer(columns)
    return "rated" if shape != "text" and thumbs.label_column(columns, use == "rated") else shape


def _detect_answer(columns: Columns) -> str:
    if tool_layouts.is_xlam(columns):
        return "xlam"
    if turns.conversation_column(columns):
        return "chat"
    if tool_layouts.is_glaive(columns):
        return "glaive"
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


def _filled(columns: Columns) -> Columns:
    """The columns that hold something: where files of several shapes were joined, each row has the names of all."""
    return {name: value for name, value in columns.items() if not cells.is_missing(value)}


@dataclass(frozen=True)
class _ReadingPlan:
    """How rows with columns of the same names are read: once decided, quick for each."""

    shape: str
    read: Callable[[str, Columns, _ReadingPlan], Record]
    unused: Unused
    names: tuple[str, ...] = ()  # of what is asked (or all of it), and what is answered
    media: bool = False  # whether columns may hold images and the like
    weighed: bool = False
    system: bool = False
    rated: str = ""  # the column with the label
    tools: str = ""  # the column that declares tools
    renamed: bool = False  # whether the columns are meant by their names in small letters


class RowFormats:
    """Rows of one source to records."""

    def __init__(
        self,
        shape: str,
        template: str | PromptTemplate | None,
        merge: bool,
        remarks: Remarks,
        use: RowKind | None = "",
    ) -> None:
        """`use` is what the rows are for, as for `detect`."""
        self.shape = "template" if template else shape  # what the last row had; auto before the first
        self._auto = self.shape == "auto"
        self._template = _templated(template) if template else None
        self._merge, self._remarks, self._use = merge, remarks, use
        self._plans: dict[tuple[str, ...], _ReadingPlan] = {}

    def __call__(self, source: str, columns: Columns) -> Record:
        """A row as a record; raises `UnusableRow`. A template wins over the shape."""
        self._remarks.source = source
        names = tuple(columns)
        plan = self._plans.get(names)
        if plan is None or None in columns.values():
            plan = self._plan_for(names, columns)
        if plan.renamed:
            columns = _plain_names(columns)
        self.shape = plan.shape
        if plan.media:
            cells.no_media(columns, plan.shape != "text")
        weight = turns.weight_of(columns, self._remarks) if plan.weighed else 1.0
        if not weight > 0:
            raise UnusableRow("has a weight of 0, so that nothing of it is trained on")
        plan.unused.look(columns)
        record = plan.read(source, columns, plan)
        if plan.tools and record.messages:
            tools = tool_rows.declared(columns.get(plan.tools), self._remarks)
            record = tool_rows.with_tools(record, tools, self._remarks)
        if plan.rated:
            record = thumbs.rated(record, columns, plan.rated, plan.read == self._chat)
        if record.kind and self._use and (weight < 1 or any(turn.weight < 1 for turn in record.messages)):
            self._remarks.odd(WEIGHED, source)
        return record.weighed(weight) if weight < 1 else record

    def _plan_for(self, names: tuple[str, ...], columns: Columns) -> _ReadingPlan:
        """Decide how such rows are read; where nothing stands in a column, it is as if that was not there."""
        filled = tuple(_filled(columns)) if None in columns.values() else names
        if (existing := self._plans.get(filled)) is not None and filled != names:
            return existing
        plan = self._make_plan(columns, filled)
        if any(name in columns for name in turns.SAID):  # these may hold a conversation, or text
            return plan
        if len(self._plans) == MOST_PLANS:
            self._plans.clear()
        self._plans[filled] = plan
        return plan

    def _make_plan(self, columns: Columns, filled: tuple[str, ...]) -> _ReadingPlan:
        if self._template is not None:
            fill, used = self._template
            unused = self._remarks.watch(name for name in columns if name not in used)
            return _ReadingPlan("template", lambda source, row, plan: fill(source, row), unused)
        shape, columns, renamed = self._detected(columns, filled)
        label = thumbs.label_column(columns, asked=True) or "label" if shape == "rated" else ""
        answer_shape = _detect_answer(columns) if label else shape
        names = _names(answer_shape, columns)
        tools = tool_rows.column(columns) if answer_shape != "text" else ""
        used_names = {*names, *turns.WEIGHTS, label, *_more_names(answer_shape), tools}
        readers = {
            "chat": self._chat,
            "prompt": self._prompt,
            "instruction": self._instruction,
            "text": self._text,
            "preference": self._preference,
            "xlam": self._xlam,
            "glaive": self._glaive,
        }
        return _ReadingPlan(
            shape,
            readers[answer_shape],
            self._remarks.watch(name for name in columns if name not in used_names),
            names,
            media=not cells.MEDIA.keys().isdisjoint(columns),
            weighed=any(name in columns for name in turns.WEIGHTS),
            system=any(name in columns for name in turns.SYSTEM),
            rated=label,
            tools=tools,
            renamed=renamed,
        )

    def _detected(self, columns: Columns, filled: tuple[str, ...]) -> tuple[str, Columns, bool]:
        """The shape, the columns by which it was found, and whether these have new names."""
        if not self._auto:
            return self.shape, columns, False
        present = {name: columns[name] for name in filled}
        try:
            return detect(present, self._use), present, False
        except UnusableRow as problem:
            refused = problem
        full = _filled(columns)
        for named, renamed in ((columns, False), (full, False), (_plain_names(full), True)):
            with suppress(UnusableRow):
                return detect(named, self._use), named, renamed
        if self.shape != "auto":
            return self.shape, columns, False  # its reader says what a row of the shape before it misses
        raise refused

    def _conversation(
        self, source: str, columns: Columns, plan: _ReadingPlan, messages: Sequence[Message], between: str = LINE
    ) -> Record:
        if plan.system:
            messages = turns.with_system(columns, messages, self._remarks)
        return Record(source, turns.conversation(messages, self._remarks, self._merge), between=between)

    def _prompt(self, source: str, columns: Columns, plan: _ReadingPlan) -> Record:
        question_name, answer_name = plan.names
        prompt, completion = columns.get(question_name, ""), columns.get(answer_name, "")
        between = "" if plan.names in AS_WRITTEN else LINE
        if _plain(prompt) and _plain(completion) and not plan.system:  # nearly all
            return Record(source, (Message("user", prompt), Message("assistant", completion)), between=between)
        if turns.is_turns(prompt) or turns.is_turns(completion):
            messages = [
                *self._side_messages(columns, question_name, "user"),
                *self._side_messages(columns, answer_name, "assistant"),
            ]
            return self._conversation(source, columns, plan, messages)
        pair = (
            Message("user", cells.content(columns, question_name)),
            Message("assistant", cells.content(columns, answer_name)),
        )
        return (
            self._conversation(source, columns, plan, pair, between)
            if plan.system
            else Record(source, pair, between=between)
        )

    def _side_messages(self, columns: Columns, name: str, role: str) -> Sequence[Message]:
        """One side of a prompt and completion that are not both text; the prompt is not learned."""
        if not turns.is_turns(columns.get(name)):
            return [Message(role, cells.content(columns, name))]
        return list(turns.messages(turns.turns_in(columns[name]), self._remarks, learned=role == "assistant"))

    def _instruction(self, source: str, columns: Columns, plan: _ReadingPlan) -> Record:
        question_name, answer_name = plan.names
        question = cells.content(columns, question_name)
        for name in MORE:
            if not cells.is_missing(columns.get(name)):
                question = f"{question}\n\n{cells.content(columns, name)}"
        pair = Message("user", question), Message("assistant", cells.content(columns, answer_name))
        return self._conversation(source, columns, plan, pair) if plan.system else Record(source, pair, between=LINE)

    def _text(self, source: str, columns: Columns, plan: _ReadingPlan) -> Record:
        return Record(source, text=cells.text(columns, "text"))

    def _chat(self, source: str, columns: Columns, plan: _ReadingPlan) -> Record:
        messages = turns.turns_in(columns.get(turns.conversation_column(columns)))
        if not messages:
            raise UnusableRow("has no list of messages")
        return self._conversation(source, columns, plan, list(turns.messages(messages, self._remarks)))

    def _xlam(self, source: str, columns: Columns, plan: _ReadingPlan) -> Record:
        return self._conversation(source, columns, plan, tool_layouts.xlam(columns))

    def _glaive(self, source: str, columns: Columns, plan: _ReadingPlan) -> Record:
        messages = tool_layouts.glaive(columns)
        if system := tool_layouts.glaive_system(columns):
            messages = [Message("system", system), *messages]
        record = Record(source, turns.conversation(messages, self._remarks, self._merge), between=LINE)
        tools = tool_rows.declared(tool_layouts.glaive_tools(columns), self._remarks)
        return tool_rows.with_tools(record, tools, self._remarks)

    def _preference(self, source: str, columns: Columns, plan: _ReadingPlan) -> Record:
        names = Compared.of(columns)
        if names is None:
            raise UnusableRow(f"has no chosen and rejected answer: it has {cells.names(columns)}")
        return preferences.compared(columns, names, source, self._remarks, self._merge)


def _plain(value: Any) -> bool:
    return value.__class__ is str and bool(value) and not value.isspace()


def _more_names(shape: str) -> set[str]:
    """The columns that a shape uses where they are there."""
    if shape == "text":
        return set()
    return {*turns.SYSTEM, *MORE} if shape == "instruction" else {*turns.SYSTEM}


def _names(shape: str, columns: Columns) -> tuple[str, ...]:
    """The columns that a shape uses: what is asked (or all of it), and what is answered."""
    if shape == "preference":
        names = Compared.of(columns)
        return tuple(names.used) if names else preferences.COMPARED[0]
    if shape == "prompt":
        return _pair_of(columns) or next((pair for pair in PAIRS if pair[0] in columns), PAIRS[0])
    if shape == "instruction":
        return "instruction", next((name for name in REPLIES if name in columns), REPLIES[0])
    if shape == "xlam":
        return next(name for name in tool_layouts.XLAM if name in columns), tool_layouts.XLAM_CALLS
    if shape == "glaive":
        return tool_layouts.GLAIVE, "system"
    return turns.conversation_column(columns) if shape == "chat" else shape, ""


def _templated(template: str | PromptTemplate) -> tuple[RowReader, frozenset[str]]:
    """A reader by a template, and the columns that it names."""
    if isinstance(template, str):
        whole, used = _filler(template)
        return lambda source, columns: Record(source, text=whole(columns)), used
    (prompt, question_name), (completion, answer_name) = _filler(template.prompt), _filler(template.completion)

    def fill(source: str, columns: Columns) -> Record:
        return Record(source, (Message("user", prompt(columns)), Message("assistant", completion(columns))))

    return fill, question_name | answer_name


def _filler(template: str) -> tuple[Callable[[Columns], str], frozenset[str]]:
    """A function that puts a row's columns into a template; a name is a column as it is, dots and all."""
    parts = [(literal, name) for literal, name, _, _ in string.Formatter().parse(template)]

    def fill(columns: Columns) -> str:
        return "".join(literal + (cells.text(columns, name) if name else "") for literal, name in parts)

    return fill, frozenset(name for _, name in parts if name)
