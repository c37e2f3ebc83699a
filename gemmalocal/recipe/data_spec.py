"""What a recipe says of its rows: where they are, which are taken, and how they become text."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    field_validator,
    model_serializer,
    model_validator,
)

from gemmalocal.recipe.section import RecipeSection

LongRows = Literal["cut", "drop", "split"]
TrainOn = Literal["replies", "last", "all"]
NO_TEMPLATE = "none"  # as a chat template: rows that are written in turns already are joined as they are


def _braces(text: str) -> str:
    """A text in whose braces stand names of columns."""
    try:
        parts = [part for part in string.Formatter().parse(text) if part[1] is not None]
    except ValueError as error:
        raise ValueError(f"this is not a template: {error} (a brace itself is written twice)") from error
    if any(not name or form or conversion for _, name, form, conversion in parts):
        raise ValueError("this is not a template: braces may hold the name of a column and nothing else")
    return text


def _column(text: str) -> str:
    """A template with a column: without one every row would be the same."""
    if not any(name for _, name, _, _ in string.Formatter().parse(text)):
        raise ValueError("names no column: write one in braces, as {text}")
    return text


Fixed = Annotated[str, AfterValidator(_braces)]
Template = Annotated[Fixed, AfterValidator(_column)]


class PromptTemplate(RecipeSection):
    """A template over columns in two parts, of which only the completion is supervised."""

    prompt: Fixed = Field(description="What the model is given, for example 'Question: {q}\\nAnswer:'.")
    completion: Template = Field(description="What it must learn to say, for example ' {a}'.")


class DataSource(RecipeSection):
    """One of several places where rows are; a name alone is its path."""

    path: str = Field(min_length=1, description="As data.path: a file, a glob, a folder, or hf:owner/name[:split].")
    weight: float = Field(
        1, gt=0, le=1000, description="How often its rows are trained on in an epoch: 2 is twice, 0.5 every second row."
    )
    rows: int | None = Field(None, ge=1, description="The most rows that are taken from it.")
    template: Template | PromptTemplate | None = Field(None, description="A template for its rows alone.")

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @model_serializer(mode="wrap")
    def _short(self, whole: SerializerFunctionWrapHandler) -> Any:
        return self.path if self == DataSource(path=self.path) else whole(self)


def _one_or_several(value: Any) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


DataSources = Annotated[
    Annotated[str, Tag("one")] | Annotated[list[DataSource], Field(min_length=1), Tag("several")],
    Discriminator(_one_or_several),
]


class DataSpec(RecipeSection):
    """Where the rows are and how they become text."""

    path: DataSources = Field(
        description="A file (.jsonl, .json, .csv, .tsv, .parquet, .txt, .md), a glob, a folder of them, a dataset that "
        "was prepared, hf:owner/name[:split], or package:module/file.json; or a list of these, each alone or as "
        "{path: a.jsonl, weight: 2, rows: 500, template: '{text}'}."
    )
    shape: Literal["auto", "chat", "prompt", "instruction", "text", "preference", "rated"] = Field(
        "auto",
        description="What a row looks like; auto finds out. preference: a chosen and a rejected answer to one prompt. "
        "rated: an answer with a label, good or bad.",
    )
    template: Template | PromptTemplate | None = Field(
        None, description="Text made from a row's columns: '{quote} - {author}'."
    )
    split: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="The share of the rows that is held out, to measure with. A hash of their content chooses them. "
        "A folder that brings held-out rows (valid.jsonl, held_out.jsonl) is split already.",
    )
    max_length: int = Field(1024, ge=8, le=131_072, description="The most tokens of a row.")
    long_rows: LongRows = Field(
        "cut",
        description="What happens to a longer row. cut: it loses its end. drop: it is left out. split: plain text "
        "becomes windows with a BOS each, and a conversation is parted between whole turns; what cannot "
        "be parted is cut.",
    )
    train_on: TrainOn = Field(
        "replies",
        description="What of a conversation is learned. replies: every reply. last: its last reply. all: the whole "
        "row, with what the model is given.",
    )
    rows: int | None = Field(
        None, ge=1, description="The most rows that are taken, before some are held out. If left out: all."
    )
    draw: Literal["first", "random"] = Field(
        "first",
        description="Which rows are taken where their number is limited: the first ones, or ones drawn by draw_seed.",
    )
    draw_seed: int = Field(0, ge=0, description="Another number draws other rows.")
    duplicates: Literal["drop", "keep"] = Field(
        "drop",
        description="What happens to rows that are equal to an earlier one. Line ends at their end do not count.",
    )
    merge_turns: bool = Field(
        False, description="Join messages of the same role that follow each other, with an empty line between."
    )
    chat_template: str | None = Field(
        None,
        description="A Jinja file with the chat template, in place of the model's own. none: the rows are written in "
        "turns already, and a prompt and its completion are joined as they are.",
    )
    thinking: bool = Field(False, description="Gemma 4's thinking mode, the same in training and in answers.")

    @field_validator("path", mode="before")
    @classmethod
    def _one_place(cls, value: Any) -> Any:
        return [value] if isinstance(value, Mapping) else value

    @property
    def sources(self) -> list[DataSource]:
        """Each place where rows are; a file's name may be no UTF-8."""
        return [DataSource.model_construct(path=self.path)] if isinstance(self.path, str) else self.path

    @property
    def name(self) -> str:
        """The places in words: the first, and how many more."""
        first, more = self.sources[0].path, len(self.sources) - 1
        return f"{first} and {more} more" if more else first
